//! Finds parts of a JSON text without changing them. The text has been checked before.

/// The value of a key; of equal keys, the last one's.
pub(crate) fn member<'j>(json: &'j str, key: &str) -> Option<&'j str> {
    let mut scan = Scan::new(json);
    if !scan.open(b'{') {
        return None;
    }
    let mut found = None;
    while !scan.at_close(b'}') {
        let name = scan.value();
        scan.skip(b':');
        let value = scan.value();
        scan.skip(b',');
        if unquoted(name) == key {
            found = Some(value);
        }
    }
    found
}

/// The element at an index, which counts from the end when negative.
pub(crate) fn element(json: &str, index: i64) -> Option<&str> {
    if !Scan::new(json).open(b'[') {
        return None;
    }
    let elements = elements(json);
    let at = if index < 0 {
        index + elements.len() as i64
    } else {
        index
    };
    usize::try_from(at).ok().and_then(|at| elements.get(at).copied())
}

/// All elements of an array.
pub(crate) fn elements(json: &str) -> Vec<&str> {
    let mut scan = Scan::new(json);
    let mut elements = Vec::new();
    if scan.open(b'[') {
        while !scan.at_close(b']') {
            elements.push(scan.value());
            scan.skip(b',');
        }
    }
    elements
}

/// All values of an object; of equal keys, each.
pub(crate) fn values(json: &str) -> Vec<&str> {
    let mut scan = Scan::new(json);
    let mut values = Vec::new();
    if scan.open(b'{') {
        while !scan.at_close(b'}') {
            scan.value();
            scan.skip(b':');
            values.push(scan.value());
            scan.skip(b',');
        }
    }
    values
}

/// The part at the end of a path.
pub(crate) fn follow<'j>(json: &'j str, path: &[Option<String>]) -> Option<&'j str> {
    let mut at = json.trim_matches([' ', '\t', '\n', '\r']);
    for step in path {
        let step = step.as_deref()?;
        at = match at.as_bytes().first()? {
            b'{' => member(at, step)?,
            b'[' => element(at, step.trim().parse().ok()?)?,
            _ => return None,
        };
    }
    Some(at)
}

fn unquoted(name: &str) -> String {
    use highwater_types::text::json::Json;
    match Json::parse(name) {
        Ok(Json::String(text)) => text,
        _ => name.to_string(),
    }
}

struct Scan<'j> {
    json: &'j str,
    at: usize,
}

impl<'j> Scan<'j> {
    fn new(json: &'j str) -> Scan<'j> {
        Scan { json, at: 0 }
    }

    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.json.as_bytes().get(self.at) {
            self.at += 1;
        }
        self.json.as_bytes().get(self.at).copied()
    }

    fn open(&mut self, bracket: u8) -> bool {
        let opens = self.peek() == Some(bracket);
        self.at += usize::from(opens);
        opens
    }

    fn at_close(&mut self, bracket: u8) -> bool {
        self.peek().is_none() || self.peek() == Some(bracket)
    }

    fn skip(&mut self, byte: u8) {
        if self.peek() == Some(byte) {
            self.at += 1;
        }
    }

    /// The value that stands here.
    fn value(&mut self) -> &'j str {
        self.peek();
        let start = self.at;
        let bytes = self.json.as_bytes();
        let (mut depth, mut in_string) = (0_usize, false);
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b'\\' if in_string => self.at += 1,
                b'"' => in_string = !in_string,
                _ if in_string => {}
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth == 0 => break,
                b'}' | b']' => depth -= 1,
                b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => break,
                _ => {}
            }
            self.at += 1;
            if depth == 0 && !in_string && matches!(byte, b'}' | b']' | b'"') {
                break;
            }
        }
        &self.json[start..self.at.min(self.json.len())]
    }
}
