//! What holds for any source and any event.

mod sources;

use std::sync::OnceLock;

use proptest::prelude::{ProptestConfig, any, proptest};
use proptest::{prop_assert, prop_assert_eq};
use serde_json::{Map, Value as Json, json};

use super::evaluate::Machine;
use super::meter::Meter;
use super::testing::Event;
use super::{ErrorClass, Program, compile, compile_filter, compile_overlay};
use sources::{body, depths, expression, soup, text};

/// One expression for each function that reads a language of its own.
fn readers() -> &'static [Program] {
    static READERS: OnceLock<Vec<Program>> = OnceLock::new();
    READERS.get_or_init(|| {
        [
            "body.text.matches(body.pattern)",
            "body.text.translate(body.pattern, body.template)",
            "body.template.format(body.list)",
            "body.text.parseYAML()",
            "body.text.parseJSON()",
            "body.text.parseURL()",
            "base64.decode(body.text)",
            "[bool(body.text)]",
            "[int(body.text), uint(body.text)]",
            "double(body.text)",
            "string(timestamp(body.text))",
            "string(duration(body.text))",
            "timestamp(0).getHours(body.text)",
            "body.text.truncate(3).replace(body.pattern, body.template).split('').join().trim()",
            "header.canonical(body.text)",
        ]
        .into_iter()
        .filter_map(|source| compile(source).ok())
        .collect()
    })
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
    fn no_depth_hides_from_the_parser(source in depths()) {
        let _ = compile(&source);
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
    fn any_text_goes_through_every_function_that_reads_one(
        text in text(),
        pattern in text(),
        template in text(),
    ) {
        let body = json!({"text": text, "pattern": pattern, "template": template, "list": [text, 1, null]});
        let event = Event::with_body(body);
        for program in readers() {
            let value = program.evaluate(&event.scope());
            prop_assert_eq!(&value, &program.evaluate(&event.scope()));
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
