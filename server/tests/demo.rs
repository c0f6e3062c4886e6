//! `highwater demo` where there is no terminal: lines of figures, five views that move, and a clean end.

mod process;

use process::{Serving, binary, finish, run};

const VIEWS: [&str; 5] = [
    "bids_per_window",
    "hot_items",
    "auctions_by_category",
    "top_prices",
    "closed_windows",
];

/// The rows of a view in the last picture: the lines after its name and its columns.
fn rows_of<'a>(output: &'a str, view: &str) -> Vec<&'a str> {
    let start = output.rfind(&format!("\n{view}: ")).expect("the view is shown");
    let lines = output[start..].lines().skip(3);
    lines.take_while(|line| line.starts_with("  ")).collect()
}

#[test]
fn the_demo_shows_five_views_that_have_rows() {
    let (code, output, stderr) = run(&[
        "demo",
        "--port",
        "0",
        "--rate",
        "1000",
        "--seconds",
        "12",
        "--workers",
        "2",
    ]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{output}");
    assert!(output.contains("connect with: psql -h 127.0.0.1 -p "), "{output}");
    assert!(output.contains("removed at the end"), "{output}");
    for view in VIEWS {
        assert!(!rows_of(&output, view).is_empty(), "{view} is empty in {output}");
    }
    assert!(output.trim_end().ends_with("stopped"), "{output}");
}

#[test]
fn psql_sees_the_demo_and_ctrl_c_ends_it() {
    let mut demo = Serving::spawn_printing(binary().args(["demo", "--port", "0", "--rate", "500"]));
    // The first picture comes when all views are there.
    while !demo.line().contains(" rows/s ") {}
    let (_, views, stderr) = finish(demo.psql().args(["-c", "SELECT name FROM highwater.views ORDER BY id"]));
    assert_eq!(views.lines().collect::<Vec<_>>(), VIEWS, "{stderr}");
    demo.signal("INT");
    let (status, rest) = demo.wait();
    assert!(status.success() && rest.trim_end().ends_with("stopped"), "{rest}");
}
