use proptest::prelude::{ProptestConfig, Strategy, prop_oneof, proptest};
use proptest::prop_assert;
use proptest::sample::select;
use regex::{Error, Regex};

use super::*;

#[test]
fn what_go_accepts_compiles_and_matches() {
    for (pattern, subject, expected) in [
        (r"^refs/(heads|tags)/", "refs/heads/main", true),
        (r"\d", "३", false),
        (r"\w", "é", false),
        (r"^\S$", "é", true),
        (r"\bé\b", "é", false),
        (r"a\Bb", "ab", true),
        (r"[[:alpha:]]+$", "abc", true),
        (r"^[[a]$", "[", true),
        (r"^[a&&b]+$", "a&b", true),
        (r"^[]a]+$", "]a", true),
        (r"^[^]a]$", "b", true),
        (r"^[\d\-x]+$", "1-x", true),
        (r"^[\D]$", "x", true),
        (r"^[a-]$", "-", true),
        (r"\Qa.b\E", "a.b", true),
        (r"\Qa.b", "axb", false),
        (r"^x{,3}$", "x{,3}", true),
        (r"^{$", "{", true),
        (r"(?i)HELLO", "hello", true),
        (r"(?i-s:A)b", "ab", true),
        (r"(?P<n>a)", "a", true),
        (r"(?<n>a)(?P<n>b)(?P<1>c)", "abc", true),
        (r"^\pL\p{Greek}\P{Lu}$", "éαb", true),
        (r"^\p{^Lu}$", "a", true),
        (r"\x41\x{1F600}\101", "A😀A", true),
        (r"^\_\<\-\/$", "_<-/", true),
        (r"a|", "", true),
        (r"^(?s).$", "\n", true),
        (r"(?:a*)*", "", true),
        (r"\z", "", true),
        (r"(?U)a+", "aa", true),
        (r"^ab(?i)*$", "abbb", true),
        (r"^(ab)(?s)+$", "abab", true),
        (r"^a{2}(?i){3}$", "aaaaaa", true),
        (r"^a{2}(?i){3}$", "aaaaa", false),
        (r"\p{Cs}", "a", false),
        (r"^[\p{Cs}a]$", "a", true),
        (r"^\P{Cs}$", "a", true),
        (r"^\p{greek}\p{Uppercase_Letter}$", "αB", true),
    ] {
        let translated = translate(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
        let regex = Regex::new(&translated.pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
        assert_eq!(regex.is_match(subject), expected, "{pattern} on {subject}");
    }
}

#[test]
fn what_go_refuses_is_refused() {
    for pattern in [
        "(",
        ")",
        "[",
        "[a",
        "*",
        "(*)",
        "a|*",
        "a**",
        "a++",
        "a{2}{3}",
        "a{1001}",
        "a{3,2}",
        "(a{1000}){1000}",
        "((a{100}){100}){100}",
        "[z-a]",
        "[a--b]",
        "[a-\\d]",
        "[[:nope:]]",
        "(?x) a",
        "(?u)a",
        "(?-)a",
        "(?!b)a",
        "(?=b)a",
        "(?>a)",
        "(?P=n)",
        "(?P<>a)",
        "(?P<a-b>a)",
        r"\",
        r"\1",
        r"\8",
        r"\e",
        r"\C",
        r"\Z",
        r"\é",
        r"\x{110000}",
        r"\xg",
        r"\x4",
        r"\p{Script=Greek}",
        r"\p{Nope}",
        r"\p{Emoji}",
        r"\p{Old_Italic}",
        "(?i)*",
        "a*(?:)**",
        "a(?i)*??",
        r"\p",
    ] {
        let compiled = translate(pattern)
            .ok()
            .and_then(|translated| Regex::new(&translated.pattern).ok());
        assert!(compiled.is_none(), "{pattern}");
    }
}

#[test]
fn counted_repetitions_weigh_what_they_repeat() {
    for (pattern, expected) in [
        ("", 0),
        ("abc", 3),
        ("a{10}b", 11),
        ("(ab){10}c*", 21),
        ("((a{3}b){4}|c){2,5}", 85),
        ("[ab].{900}", 901),
        ("(a*)(?i){3}", 3),
        ("a{0}b", 2),
    ] {
        let translated = translate(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
        assert_eq!(translated.weight, expected, "{pattern}");
    }
}

const PIECES: [&str; 40] = [
    "a",
    "é",
    ".",
    "^",
    "$",
    "|",
    "(",
    ")",
    "[",
    "]",
    "[^",
    "-",
    "*",
    "+",
    "?",
    "{2}",
    "{1,",
    "{,2}",
    "(?:",
    "(?i)",
    "(?s-U)",
    "(?P<n>",
    "(?<a",
    "\\d",
    "\\W",
    "\\b",
    "\\B",
    "\\A",
    "\\z",
    "\\pL",
    "\\p{Greek}",
    "\\P{^Cs}",
    "\\Q",
    "\\E",
    "\\x4",
    "\\x{1F600}",
    "\\07",
    "[:alpha:]",
    "&&",
    "\\",
];

fn pattern() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => select(&PIECES[..]).prop_map(str::to_owned),
        1 => ".".prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_translated_is_a_pattern(pattern in pattern()) {
        if let Ok(translated) = translate(&pattern) {
            let compiled = Regex::new(&translated.pattern);
            let fits = !matches!(compiled, Err(Error::Syntax(_)));
            prop_assert!(fits, "{} became {}", pattern, translated.pattern);
        }
    }
}
