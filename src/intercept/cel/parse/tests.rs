use super::*;
use crate::intercept::cel;
use crate::intercept::cel::testing::Event;

/// `piece` as often as fits into a source, between `head` and `tail`.
fn filled(head: &str, piece: &str, tail: &str) -> String {
    let room = CEL_SOURCE_BYTES - head.len() - tail.len();
    format!("{head}{}{tail}", piece.repeat(room / piece.len()))
}

fn parse_all(sources: &[String]) -> Vec<Result<usize, Stage>> {
    let parsed = with_parser_stack(|| {
        let sizes = sources.iter().map(|source| {
            parse(source)
                .map(|tree| tree.nodes.len())
                .map_err(|error| error.stage)
        });
        sizes.collect()
    });
    parsed.expect("the parser survives")
}

#[test]
fn long_chains_are_refused_and_do_not_overflow_the_stack() {
    let sources = [
        filled("1", "+1", ""),
        filled("1", "*1", ""),
        filled("1", "<1", ""),
        filled("a", ".a", ""),
        filled("a", ".a()", ""),
        filled("a", "[0]", ""),
        filled("", "(", ""),
        filled("", "[", ""),
        filled("", "{", ""),
        filled("", "{1:", ""),
        filled("", "f(", ""),
        filled("", "a[", ""),
        filled("", "a?", ""),
        filled("", "a?b:", "c"),
        filled("", "-(", ""),
        filled("", "!(", ""),
        filled("", "has(", ""),
        filled("a", ".map(x,a", ""),
        filled("", "'", ""),
        filled("", "\\", ""),
        filled("", ")", ""),
        filled("", "?", ""),
        filled("", ".", ""),
        filled("", "\u{0}", ""),
        filled("", "é", ""),
        filled("", "\u{1f600}", ""),
        filled("", "1 ", ""),
        filled("", "a::", ""),
        format!("{}1{}", "(".repeat(5000), ")".repeat(5000)),
        format!("{}1{}", "[".repeat(5000), "]".repeat(5000)),
        format!("{}1{}", "f(".repeat(4000), ")".repeat(4000)),
        format!("{}a{}", "a[".repeat(4000), "]".repeat(4000)),
        format!("{}1{}", "{1:".repeat(4000), "}".repeat(4000)),
        format!("{}x{}", "[1].map(x, ".repeat(1000), ")".repeat(1000)),
        // As deep as the scan lets through.
        format!("{}1{}", "(".repeat(128), "+1+1)".repeat(128)),
        format!("{}1{}", "(".repeat(128), ".a.a)".repeat(128)),
        format!("{}1{}", "[".repeat(128), "<1][0]".repeat(128)),
        format!("{}a{}", "a?[".repeat(128), "]:-a*2".repeat(128)),
        format!("{}a{}", "[a].map(x,".repeat(128), ").b".repeat(128)),
    ];
    for (source, parsed) in sources.iter().zip(parse_all(&sources)) {
        let start: String = source.chars().take(12).collect();
        assert!(parsed.is_err(), "{start}");
    }
}

#[test]
fn what_is_long_and_flat_parses() {
    let sources = [
        filled("true", "&&true", ""),
        filled("true", "||true", ""),
        filled("", "-", "1"),
        filled("", "!", "true"),
        filled("'", "x", "'"),
        filled("[1", ",1", "]"),
        filled("f(1", ",1", ")"),
        filled("1", " ", ""),
        filled("1//", "x", ""),
        format!("{}1{}", "(".repeat(100), ")".repeat(100)),
    ];
    for (source, parsed) in sources.iter().zip(parse_all(&sources)) {
        let start: String = source.chars().take(12).collect();
        assert!(parsed.is_ok(), "{start}: {parsed:?}");
    }
}

#[test]
fn a_literal_that_does_not_end_hides_no_depth() {
    let opening = "(".repeat(2000);
    let literals = ["'", "'\n", "'a\\", "\"\\x\"", "r\"\n", "'\\z' + ", "b'\r"];
    let sources: Vec<String> = literals
        .into_iter()
        .flat_map(|literal| {
            let hidden = "(')'".repeat(100);
            [format!("{literal}{opening}"), format!("{literal}{hidden}")]
        })
        .chain([format!("{}c", "a?b:".repeat(1000))])
        .collect();
    let compile_all = move || {
        let refused = sources
            .iter()
            .filter(|source| cel::compile(source).is_err());
        refused.count()
    };
    let small = std::thread::Builder::new().stack_size(WORKER_STACK);
    let thread = small.spawn(compile_all).expect("starts");
    assert_eq!(thread.join().ok(), Some(15));
}

#[test]
fn a_shallow_source_needs_little_stack() {
    let sources: Vec<String> = [
        ("1", "+1", "", ""),
        ("a", ".b", "", ""),
        ("a", "[0]", "", ""),
        ("", "(", "1", ")"),
        ("", "[", "1", "]"),
        ("", "[a].map(x,", "x", ")"),
        ("", "a?[", "b", "]:c"),
        ("", "!(", "a", ")"),
    ]
    .into_iter()
    .map(|(head, piece, middle, tail)| {
        let source = |count| {
            format!(
                "{head}{}{middle}{}",
                piece.repeat(count),
                tail.repeat(count)
            )
        };
        let longest = (1..100).rev().map(source).find(|source| is_shallow(source));
        longest.unwrap_or_default()
    })
    .collect();
    let parse_all = move || {
        sources
            .iter()
            .filter(|source| parse(source).is_ok())
            .count()
    };
    let small = std::thread::Builder::new().stack_size(WORKER_STACK);
    let thread = small.spawn(parse_all).expect("starts");
    assert_eq!(thread.join().ok(), Some(8));
}

/// What the threads have that look at events.
const WORKER_STACK: usize = 2 * 1024 * 1024;

#[test]
fn the_deepest_expressions_need_little_stack_after_parsing() {
    let sources: Vec<String> = [
        ("1", "+1", "", ""),
        ("", "!(dyn(", "true", "))"),
        ("", "[1].map(x,", "1", ")"),
        ("", "(true?", "1", ":2)"),
        ("", "[", "body", "]"),
        ("", "dyn([", "body.deep", "]).first()"),
    ]
    .into_iter()
    .map(|(head, piece, middle, tail)| {
        let source = |count| {
            let (pieces, tails) = (piece.repeat(count), tail.repeat(count));
            format!("{head}{pieces}{middle}{tails} == dyn(body)")
        };
        let mut deepest = (1..260).rev().map(source);
        let deepest = deepest.find(|source| cel::compile(source).is_ok());
        deepest.expect("compiles at some depth")
    })
    .collect();
    let evaluate_all = move || {
        let deep = (0..100).fold(serde_json::json!(1), |inner, _| serde_json::json!([inner]));
        let event = Event::with_body(serde_json::json!({ "deep": deep }));
        let each = sources.iter().map(|source| {
            let filter = cel::compile_filter(source).expect("compiles");
            filter.explain(&event.scope(), &[]);
            filter.decide(&event.scope())
        });
        each.count()
    };
    let small = std::thread::Builder::new().stack_size(WORKER_STACK);
    let thread = small.spawn(evaluate_all).expect("starts");
    assert_eq!(thread.join().ok(), Some(6));
}

#[test]
fn a_source_beyond_the_limit_is_refused() {
    let parsed = parse_all(&["x".repeat(CEL_SOURCE_BYTES + 1)]);
    assert_eq!(parsed, [Err(Stage::Limit)]);
}
