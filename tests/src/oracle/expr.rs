//! Random expressions over the columns in scope. They do not fail on any row, but for those that
//! [`Generator::failing_value`] makes: where a row fails has to be as plain for a batch as it is for a view.

use super::dice::Dice;
use super::generator::Generator;
use super::kind::Kind;
use super::relation::Column;

/// How deep expressions are nested.
const DEEPEST: usize = 3;

impl Generator {
    /// An expression of a type.
    pub fn value(&mut self, scope: &[Column], kind: Kind) -> String {
        self.value_at(scope, kind, 0)
    }

    /// A boolean expression that is more than a column.
    pub fn condition(&mut self, scope: &[Column]) -> String {
        self.condition_at(scope, 0)
    }

    /// The columns of a type.
    pub fn columns_of(scope: &[Column], kind: Kind) -> Vec<Column> {
        scope.iter().filter(|c| c.kind == kind).cloned().collect()
    }

    fn value_at(&mut self, scope: &[Column], kind: Kind, depth: usize) -> String {
        let columns = Self::columns_of(scope, kind);
        if !columns.is_empty() && (depth >= DEEPEST || self.dice.chance(55)) {
            return self.dice.pick(&columns).name;
        }
        if depth >= DEEPEST || self.dice.chance(12) {
            return kind.literal(&mut self.dice);
        }
        if self.dice.chance(30) {
            return self.any_kind(scope, kind, depth + 1);
        }
        self.mark("scalar function");
        self.computed(scope, kind, depth + 1)
    }

    /// Forms that every type has.
    fn any_kind(&mut self, scope: &[Column], kind: Kind, depth: usize) -> String {
        let a = self.value_at(scope, kind, depth);
        match self.dice.below(if kind == Kind::Jsonb { 2 } else { 5 }) {
            0 => {
                self.mark("CASE");
                let condition = self.condition_at(scope, depth);
                let b = self.value_at(scope, kind, depth);
                format!("CASE WHEN {condition} THEN {a} ELSE {b} END")
            }
            1 => {
                self.mark("coalesce");
                format!("coalesce({a}, {})", kind.literal(&mut self.dice))
            }
            2 => {
                self.mark("nullif");
                format!("nullif({a}, {})", kind.literal(&mut self.dice))
            }
            3 => format!("greatest({a}, {})", self.value_at(scope, kind, depth)),
            _ => format!("least({a}, {})", self.value_at(scope, kind, depth)),
        }
    }

    fn computed(&mut self, scope: &[Column], kind: Kind, depth: usize) -> String {
        let of = |g: &mut Generator, kind: Kind| g.value_at(scope, kind, depth);
        match kind {
            Kind::Bool => format!("({})", self.condition_at(scope, depth)),
            Kind::Int2 => format!("({})::smallint", small(self, scope, depth)),
            Kind::Int4 => small(self, scope, depth),
            Kind::Int8 => match self.dice.below(4) {
                0 => format!("({})::bigint", of(self, Kind::Int4)),
                1 => format!(
                    "(({})::bigint * ({})::bigint)",
                    of(self, Kind::Int4),
                    of(self, Kind::Int2)
                ),
                2 => format!("(({})::bigint % 7)", of(self, Kind::Int8)),
                _ => format!(
                    "(({})::bigint + {})",
                    small(self, scope, depth),
                    small(self, scope, depth)
                ),
            },
            Kind::Float4 => format!("({})::real", small(self, scope, depth)),
            Kind::Float8 => match self.dice.below(4) {
                0 => format!("({})::double precision", of(self, Kind::Int8)),
                1 => format!("({} * 0.5::double precision)", small(self, scope, depth)),
                2 => format!("({})::double precision", of(self, Kind::Float4)),
                _ => format!("abs({})", of(self, Kind::Float8)),
            },
            Kind::Numeric => match self.dice.below(5) {
                0 => format!("({})::numeric", of(self, Kind::Int8)),
                1 => format!("({} + {})", of(self, Kind::Decimal), of(self, Kind::Decimal)),
                2 => format!("round(({})::numeric, 1)", of(self, Kind::Decimal)),
                3 => format!("(({})::numeric / 7)", of(self, Kind::Int4)),
                _ => format!("abs({})", of(self, Kind::Numeric)),
            },
            Kind::Decimal => format!("({})::numeric(12,2)", small(self, scope, depth)),
            Kind::Text => self.text(scope, depth),
            Kind::Date => match self.dice.below(3) {
                0 => format!(
                    "({} + {})",
                    Kind::Date.literal(&mut self.dice),
                    small(self, scope, depth)
                ),
                1 => format!("({})::date", Kind::Timestamp.literal(&mut self.dice)),
                _ => format!("({})::date", of(self, Kind::Timestamp)),
            },
            Kind::Time => Kind::Time.literal(&mut self.dice),
            Kind::Timestamp => match self.dice.below(3) {
                0 => format!("date_trunc('minute', {})", of(self, Kind::Timestamp)),
                1 => format!("({} AT TIME ZONE 'UTC')", of(self, Kind::Timestamptz)),
                _ => format!("({} + interval '7 seconds')", of(self, Kind::Timestamp)),
            },
            Kind::Timestamptz => format!("({} - interval '7 seconds')", of(self, Kind::Timestamptz)),
            Kind::Interval => format!("({} * interval '1 hour')", small(self, scope, depth)),
            Kind::Uuid | Kind::Bytea | Kind::Jsonb => kind.literal(&mut self.dice),
        }
    }

    fn text(&mut self, scope: &[Column], depth: usize) -> String {
        let a = self.value_at(scope, Kind::Text, depth);
        let forms = [
            "upper(@)",
            "lower(@)",
            "reverse(@)",
            "left(@, 2)",
            "replace(@, 'a', 'xy')",
            "substr(@, 2, 3)",
        ];
        match self.dice.below(10) {
            0 => format!("({a} || {})", self.value_at(scope, Kind::Text, depth)),
            1 => format!("({})::text", small(self, scope, depth)),
            2 => format!("({})::text", self.value_at(scope, Kind::Decimal, depth)),
            3 => format!("({})::text", self.value_at(scope, Kind::Date, depth)),
            _ => self.dice.pick(&forms).replace('@', &a),
        }
    }

    fn condition_at(&mut self, scope: &[Column], depth: usize) -> String {
        let comparable: Vec<Kind> = scope.iter().map(|c| c.kind).filter(|k| *k != Kind::Jsonb).collect();
        let kind = if comparable.is_empty() {
            Kind::Int4
        } else {
            self.dice.pick(&comparable)
        };
        let a = self.value_at(scope, kind, depth + 1);
        let forms = if depth + 1 >= DEEPEST { 7 } else { 10 };
        match self.dice.below(forms) {
            0..=2 => {
                let operator = self.dice.pick(&["=", "<>", "<", "<=", ">", ">="]);
                let b = if self.dice.chance(60) {
                    kind.literal(&mut self.dice)
                } else {
                    self.value_at(scope, kind, depth + 1)
                };
                format!("{a} {operator} {b}")
            }
            3 => format!("{a} IS {}NULL", self.dice.pick(&["", "NOT "])),
            4 => {
                self.mark("IS DISTINCT FROM");
                format!(
                    "{a} IS {}DISTINCT FROM {}",
                    self.dice.pick(&["", "NOT "]),
                    kind.literal(&mut self.dice)
                )
            }
            5 => {
                let list: Vec<String> = (0..3).map(|_| kind.literal(&mut self.dice)).collect();
                format!("({a}) {}IN ({})", self.dice.pick(&["", "NOT "]), list.join(", "))
            }
            6 => {
                let text = self.value_at(scope, Kind::Text, depth + 1);
                format!("{text} LIKE '{}'", self.dice.pick(&["a%", "%b", "_", "%a%"]))
            }
            7 => {
                let b = self.condition_at(scope, depth + 1);
                format!(
                    "({} {} {b})",
                    self.condition_at(scope, depth + 1),
                    self.dice.pick(&["AND", "OR"])
                )
            }
            8 => format!("NOT ({})", self.condition_at(scope, depth + 1)),
            _ => format!(
                "({}) IS {}TRUE",
                self.condition_at(scope, depth + 1),
                self.dice.pick(&["", "NOT "])
            ),
        }
    }

    /// An expression that fails on some rows, always with the same SQLSTATE; `None` without a column for it.
    pub fn failing_value(&mut self, scope: &[Column]) -> Option<(String, Kind)> {
        let numbers: Vec<Column> = scope
            .iter()
            .filter(|c| matches!(c.kind, Kind::Int4 | Kind::Int8 | Kind::Numeric))
            .cloned()
            .collect();
        let column = (!numbers.is_empty()).then(|| self.dice.pick(&numbers));
        match (self.dice.below(3), column) {
            (0, _) if scope.iter().any(|c| c.kind == Kind::Text) => {
                self.mark("fault: bad cast");
                let text = Self::columns_of(scope, Kind::Text);
                Some((format!("({})::integer", self.dice.pick(&text).name), Kind::Int4))
            }
            (_, Some(column)) => {
                self.mark("fault: division by zero");
                Some((format!("(100 / {})", column.name), column.kind))
            }
            (_, None) => None,
        }
    }
}

/// A small number of type integer that no row can make overflow.
fn small(g: &mut Generator, scope: &[Column], depth: usize) -> String {
    let forms = [
        "length(@s)",
        "ascii(@s)",
        "(@i % 5)",
        "extract(second FROM @t)::integer",
        "(@b)::integer",
        "@l",
    ];
    let form: &str = pick_form(&mut g.dice, &forms);
    let (place, kind) = match &form[form.find('@').unwrap_or(0)..][..2] {
        "@s" => ("@s", Kind::Text),
        "@i" => ("@i", Kind::Int4),
        "@b" => ("@b", Kind::Bool),
        "@t" => return form.replace("@t", &Kind::Timestamp.literal(&mut g.dice)),
        _ => return Kind::Int4.literal(&mut g.dice),
    };
    let value = g.value_at(scope, kind, depth + 1);
    form.replace(place, &value)
}

fn pick_form<'a>(dice: &mut Dice, forms: &[&'a str]) -> &'a str {
    forms[dice.below(forms.len())]
}
