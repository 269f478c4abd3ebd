//! Random sources, events and texts.

use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;
use serde_json::{Value as Json, json};

/// Pieces that sources are made of.
const TOKENS: [&str; 64] = [
    "body",
    "header",
    "extensions",
    "requestURL",
    ".",
    ".ref",
    ".map",
    ".list",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "?",
    "&&",
    "||",
    "!",
    "-",
    "+",
    "*",
    "/",
    "%",
    "==",
    "!=",
    "<",
    "<=",
    ">",
    " in ",
    "1",
    "0",
    "-1",
    "1u",
    "1.5",
    "1e308",
    "9223372036854775807",
    "'a'",
    "\"\"",
    "b'\\xff'",
    "'\\u00e9'",
    "true",
    "false",
    "null",
    "x",
    "has(",
    ".map(x,",
    ".filter(x,",
    ".all(x,",
    ".exists(x,",
    ".sortBy(x,",
    "size(",
    "int(",
    "string(",
    "dyn(",
    "timestamp(",
    ".matches(",
    ".translate(",
    ".format(",
    ".parseJSON()",
    "math.greatest(",
    "'",
    "\n",
];

/// Sources that nest deep, and hide it behind literals.
pub(super) fn depths() -> impl Strategy<Value = String> {
    let pieces = [
        "(", "((((((((", "[[[[[[[[", "{1:", "a?b:", "a?(", "!(", "-(", "')'", "\")\"", "f(", ".a",
        "+1", "'", "\"", "\n", "\\", "r'\\'", "ar", "b", "'''", "//", "`", "a", "in", ")", "]",
        "?", ":", ",",
    ];
    let piece = select(pieces.to_vec());
    proptest::collection::vec(piece, 0..200).prop_map(|pieces| pieces.concat())
}

pub(super) fn soup() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => select(&TOKENS[..]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

const LEAVES: [&str; 32] = [
    "body",
    "body.a",
    "body.b",
    "body.a.b",
    "body.list",
    "body.list[0]",
    "header",
    "extensions",
    "requestURL",
    "1",
    "0",
    "-7",
    "9223372036854775807",
    "2u",
    "1.5",
    "1e300",
    "'a'",
    "''",
    "'日本語'",
    "'1h'",
    "'{\"a\":1}'",
    "b'x'",
    "true",
    "false",
    "null",
    "[]",
    "{}",
    "[1, 'a', null]",
    "{'a': 1}",
    "int",
    "timestamp(0)",
    "duration('1h')",
];

const OPERATORS: [&str; 14] = [
    "+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "&&", "||", " in ",
];

const FUNCTIONS: [&str; 18] = [
    "dyn",
    "size",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "bool",
    "type",
    "timestamp",
    "duration",
    "math.abs",
    "math.sqrt",
    "lists.range",
    "json.encode",
    "base64.encode",
    "base64.decode",
    "strings.quote",
];

const SUFFIXES: [&str; 23] = [
    "first()",
    "last()",
    "sort()",
    "reverse()",
    "distinct()",
    "flatten()",
    "join(',')",
    "marshalJSON()",
    "parseJSON()",
    "parseYAML()",
    "parseURL()",
    "trim()",
    "upperAscii()",
    "split('')",
    "getFullYear()",
    "size()",
    "truncate(2)",
    "charAt(1)",
    "substring(1, 3)",
    "canonical('a')",
    "compareSecret('token', 'hook')",
    "a",
    "`a b`",
];

const METHODS: [&str; 13] = [
    "contains",
    "startsWith",
    "indexOf",
    "lastIndexOf",
    "matches",
    "truncate",
    "slice",
    "format",
    "split",
    "replace",
    "translate",
    "flatten",
    "charAt",
];

const MACROS: [&str; 6] = ["map", "filter", "all", "exists", "exists_one", "sortBy"];

/// Sources that mostly compile.
pub(super) fn expression() -> impl Strategy<Value = String> {
    let leaf = select(&LEAVES[..]).prop_map(str::to_owned);
    leaf.prop_recursive(5, 64, 3, |inner| {
        let pair = (inner.clone(), inner.clone());
        let triple = (inner.clone(), inner.clone(), inner.clone());
        prop_oneof![
            (pair.clone(), select(&OPERATORS[..])).prop_map(|((a, b), op)| format!("({a}{op}{b})")),
            (select(&FUNCTIONS[..]), inner.clone()).prop_map(|(f, a)| format!("{f}({a})")),
            (inner.clone(), select(&SUFFIXES[..])).prop_map(|(a, m)| format!("dyn({a}).{m}")),
            (pair.clone(), select(&METHODS[..]))
                .prop_map(|((a, b), m)| format!("dyn({a}).{m}(dyn({b}))")),
            (triple.clone(), select(&METHODS[..]))
                .prop_map(|((a, b, c), m)| format!("dyn({a}).{m}(dyn({b}), dyn({c}))")),
            (pair.clone(), select(&MACROS[..]))
                .prop_map(|((a, b), m)| format!("dyn({a}).{m}(x, dyn({b} == x ? x : {b}))")),
            pair.clone()
                .prop_map(|(a, b)| format!("dyn({a})[dyn({b})]")),
            triple.prop_map(|(a, b, c)| format!("(dyn({a}) ? dyn({b}) : dyn({c}))")),
            pair.clone().prop_map(|(a, b)| format!("[{a}, {b}]")),
            pair.prop_map(|(a, b)| format!("{{{a}: {b}}}")),
            inner.clone().prop_map(|a| format!("-dyn({a})")),
            inner.prop_map(|a| format!("!dyn({a})")),
        ]
    })
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        ".{0,12}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            proptest::collection::btree_map("[ab]|.{0,3}", inner, 0..4)
                .prop_map(|fields| Json::Object(fields.into_iter().collect())),
        ]
    })
}

pub(super) fn body() -> impl Strategy<Value = Json> {
    (json(), json(), proptest::collection::vec(json(), 0..3))
        .prop_map(|(a, b, list)| json!({"a": a, "b": b, "list": list}))
}

/// Texts with what patterns, templates, formats, documents and addresses are
/// made of.
pub(super) fn text() -> impl Strategy<Value = String> {
    let pieces = [
        "a",
        "é",
        "%s",
        "%.3f",
        "%",
        "$1",
        "${n}",
        "$",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "*",
        "+",
        "\\",
        "\\d",
        "?",
        "|",
        "^",
        "-",
        ": ",
        ":",
        "- ",
        "\n",
        "  ",
        "\t",
        "&a",
        "*a",
        "<<",
        "#",
        "\"",
        "'",
        "!!int ",
        "1",
        ".5",
        "e9",
        "://",
        "@",
        "%zz",
        "=",
        ",",
        "null",
        "true",
        "2024-01-01T00:00:00Z",
        "1h",
        "\u{0}",
        "|",
        ">-",
        "0x",
    ];
    let piece = prop_oneof![
        8 => select(pieces.to_vec()).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}
