use serde_json::json;

use crate::intercept::cel::ErrorClass::{Argument, Exhausted, Index, Internal, NoOverload};
use crate::intercept::cel::testing::{check_failures, check_true, check_values};

#[test]
fn text_is_searched_in_characters() {
    check_true(&[
        "body.ref.startsWith('refs/heads/') && body.ref.endsWith('main')",
        "body.text.contains('wör') && body.text.contains('')",
        "!'日本'.truncate(4).contains('本')",
    ]);
    check_values(&[
        ("body.text.charAt(1)", json!("é")),
        ("'abc'.charAt(3)", json!("")),
        ("body.text.indexOf('wörld')", json!(6)),
        ("body.text.indexOf('l', 4)", json!(9)),
        ("'abc'.indexOf('')", json!(0)),
        ("'abc'.indexOf('', 9)", json!(3)),
        ("'abc'.indexOf('c', 9)", json!(-1)),
        ("body.text.lastIndexOf('l')", json!(9)),
        ("body.text.lastIndexOf('l', 8)", json!(3)),
        ("'aaa'.lastIndexOf('aa', 0)", json!(0)),
        ("'abc'.lastIndexOf('')", json!(3)),
        ("'abc'.lastIndexOf('a', 3)", json!(-1)),
        ("'a'.lastIndexOf('abc')", json!(-1)),
    ]);
    check_failures(&[
        ("'abc'.charAt(4)", Index),
        ("'abc'.charAt(-1)", Index),
        ("'abc'.indexOf('b', -1)", Index),
        ("'abc'.lastIndexOf('b', -1)", Index),
    ]);
}

#[test]
fn text_is_cut_and_joined() {
    check_values(&[
        ("body.text.substring(6, 11)", json!("wörld")),
        ("'abc'.substring(3)", json!("")),
        ("' \\t\u{a0}x '.trim()", json!("x")),
        ("'a,b,,c'.split(',')", json!(["a", "b", "", "c"])),
        ("'a,b,,c'.split(',', 2)", json!(["a", "b,,c"])),
        ("'a,b'.split(',', 0)", json!([])),
        ("'日本x'.split('')", json!(["日", "本", "x"])),
        ("'abc'.split('', 2)", json!(["a", "bc"])),
        ("''.split(',')", json!([""])),
        ("''.split('')", json!([])),
        ("body.texts.join('-')", json!("b-a-c-a")),
        ("[].join(',')", json!("")),
        ("'ab'.replace('', '-')", json!("-a-b-")),
        ("'aaa'.replace('a', 'b', 2)", json!("bba")),
        ("'aaa'.replace('a', 'b', 0)", json!("aaa")),
        ("'aaa'.replace('a', 'b', -1)", json!("bbb")),
        ("'ÀBC'.lowerAscii()", json!("Àbc")),
        ("'àbc'.upperAscii()", json!("àBC")),
        ("'日本'.reverse()", json!("本日")),
        ("strings.quote('a\"\\n\\\\')", json!("\"a\\\"\\n\\\\\"")),
    ]);
    check_failures(&[
        ("'abc'.substring(2, 1)", Argument),
        ("'abc'.substring(0, 4)", Index),
        ("'abc'.substring(-1)", Index),
        ("body.mixed.join(',')", NoOverload),
        ("(['a'] + body.list).join(',')", Argument),
        ("body.list.join(',')", NoOverload),
    ]);
}

#[test]
fn truncate_counts_bytes_and_may_break_a_character() {
    check_values(&[
        ("body.ref.truncate(4)", json!("refs")),
        ("'ab'.truncate(9)", json!("ab")),
        ("'日本'.truncate(3)", json!("日")),
        ("'日本'.truncate(4)", json!("日\u{fffd}")),
        (
            "bytes(' 日本'.truncate(5).trim().replace('日', 'a'))",
            json!("YeY="),
        ),
        (
            "'a,日'.truncate(3).split(',').map(s, bytes(s))",
            json!(["YQ==", "5g=="]),
        ),
        (
            "bytes('日'.truncate(1).translate('x*', '-'))",
            json!("LeYt"),
        ),
    ]);
    check_true(&["'日本'.truncate(4) != '日' && '日本'.truncate(4).startsWith('日')"]);
    check_failures(&[
        ("body.ref.truncate(-1)", Internal),
        ("body.ref.truncate(-1) == '' || true", Internal),
        (
            "body.list.exists(x, body.ref.truncate(-1) == '' || x > 0.0)",
            Internal,
        ),
        ("body.ref.truncate(body.count)", NoOverload),
    ]);
}

#[test]
fn text_cannot_be_blown_up_without_end() {
    let grow = ".replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')".repeat(12);
    check_failures(&[(&format!("'a'{grow}"), Exhausted)]);
}
