//! What holds for any source and any event.

use std::sync::OnceLock;

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use proptest::sample::select;
use proptest::{prop_assert, prop_assert_eq};
use serde_json::{Map, Value as Json, json};

use super::evaluate::Machine;
use super::meter::Meter;
use super::testing::Event;
use super::{ErrorClass, Program, compile, compile_filter, compile_overlay};

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

fn soup() -> impl Strategy<Value = String> {
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
fn expression() -> impl Strategy<Value = String> {
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

fn body() -> impl Strategy<Value = Json> {
    (json(), json(), proptest::collection::vec(json(), 0..3))
        .prop_map(|(a, b, list)| json!({"a": a, "b": b, "list": list}))
}

/// Compiled once: the cases vary the event and the limits.
fn hungry() -> &'static [Program] {
    static HUNGRY: OnceLock<Vec<Program>> = OnceLock::new();
    HUNGRY.get_or_init(|| {
        [
            "lists.range(100).map(x, lists.range(100).map(y, x * y)).flatten().size()",
            "lists.range(50).map(x, body.map(k, body[k])).map(x, [x, x]).map(x, [x, x])",
            "lists.range(100).map(x, 'abc'.replace('', 'xyz')).join(',').split('')",
            "lists.range(100).exists(x, body.marshalJSON().matches(string(x)))",
            "body.list.map(x, body.list.map(y, x == y || body == body))",
            "lists.range(20).map(x, body.marshalJSON().translate('.', '$0$0$0$0$0$0$0$0'))",
            "lists.range(200).map(x, ['ab', 'cd', 'ef'].join(body.marshalJSON())).join('-')",
            "lists.range(100).map(x, '%s%.100f'.format([body, 1.5]) + string(x))",
            "lists.range(100).map(x, ('a: &a [' + string(x) + ']\\nb: [*a, *a]').parseYAML())",
            "lists.range(20).exists(x, body.marshalJSON().matches('[ab].{300}[q-z]'))",
        ]
        .into_iter()
        .filter_map(|source| compile(source).ok())
        .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_compiles_or_is_refused(source in soup()) {
        if let Err(error) = compile(&source) {
            prop_assert!(!error.message.is_empty() && error.line > 0);
        }
    }

    #[test]
    fn any_bytes_compile_or_are_refused(source in any::<Vec<u8>>()) {
        let _ = compile(&String::from_utf8_lossy(&source));
    }

    #[test]
    fn any_expression_over_any_event_ends_and_gives_the_same_again(
        source in expression(),
        body in body(),
    ) {
        let event = Event::with_body(body);
        if let Ok(program) = compile(&source) {
            let value = program.evaluate(&event.scope());
            prop_assert_eq!(&value, &program.evaluate(&event.scope()));
            let filter = compile_filter(&source).expect("compiled before");
            let wanted = matches!(value, Ok(Json::Bool(true)));
            let decision = filter.decide(&event.scope());
            prop_assert_eq!(wanted, decision == super::FilterOutcome::True, "{:?}", decision);
            for (text, _) in filter.explain(&event.scope(), &[]) {
                prop_assert!(!text.is_empty());
            }
            let overlay = compile_overlay("a.b", &source).expect("compiled before");
            let _ = overlay.apply(&event.scope(), &mut Map::new());
        }
    }

    #[test]
    fn any_limit_ends_an_evaluation(fuel in 0_u64..30_000, bytes in 0_usize..300_000, body in body()) {
        let event = Event::with_body(body);
        let scope = event.scope();
        for program in hungry() {
            let meter = Meter::with(fuel, bytes);
            let mut machine = Machine::with_meter(&program.code, &scope, meter);
            if let Err(fault) = machine.run(program.code.root) {
                let ended = machine.meter().is_exhausted();
                prop_assert_eq!(ended, fault.class() == ErrorClass::Exhausted, "{}", fault);
            }
        }
    }

    #[test]
    fn any_key_of_an_overlay_is_set_or_refused(keys in proptest::collection::vec("[ab01:.\\\\*?#@-]{0,8}", 1..5)) {
        let event = Event::default();
        let mut extensions = Map::new();
        for key in keys {
            let overlay = compile_overlay(&key, "{'x': [1]}").expect("compiles");
            let _ = overlay.apply(&event.scope(), &mut extensions);
        }
    }
}
