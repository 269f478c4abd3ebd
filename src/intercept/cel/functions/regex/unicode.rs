//! Unicode's classes by the names that Go knows.
//!
//! In: what stands in `\p{…}`. Out: the class in the notation of the `regex`
//! crate, which knows many more names. Case, spaces, hyphens and underscores do
//! not matter; a script of several words has none of the names that Go reads.

use super::re2::Reason;

pub(super) const INVALID_RANGE: Reason = "invalid character class range";

/// General categories. Surrogates (`Cs`) are one too, but no text has any.
const CATEGORIES: [&str; 36] = [
    "C", "Cc", "Cf", "Cn", "Co", "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N",
    "Nd", "Nl", "No", "P", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm", "So",
    "Z", "Zl", "Zp", "Zs",
];

/// Scripts whose names are one word.
const SCRIPTS: [&str; 117] = [
    "Adlam",
    "Ahom",
    "Arabic",
    "Armenian",
    "Avestan",
    "Balinese",
    "Bamum",
    "Batak",
    "Bengali",
    "Bhaiksuki",
    "Bopomofo",
    "Brahmi",
    "Braille",
    "Buginese",
    "Buhid",
    "Carian",
    "Chakma",
    "Cham",
    "Cherokee",
    "Chorasmian",
    "Common",
    "Coptic",
    "Cuneiform",
    "Cypriot",
    "Cyrillic",
    "Deseret",
    "Devanagari",
    "Dogra",
    "Duployan",
    "Elbasan",
    "Elymaic",
    "Ethiopic",
    "Georgian",
    "Glagolitic",
    "Gothic",
    "Grantha",
    "Greek",
    "Gujarati",
    "Gurmukhi",
    "Han",
    "Hangul",
    "Hanunoo",
    "Hatran",
    "Hebrew",
    "Hiragana",
    "Inherited",
    "Javanese",
    "Kaithi",
    "Kannada",
    "Katakana",
    "Kawi",
    "Kharoshthi",
    "Khmer",
    "Khojki",
    "Khudawadi",
    "Lao",
    "Latin",
    "Lepcha",
    "Limbu",
    "Lisu",
    "Lycian",
    "Lydian",
    "Mahajani",
    "Makasar",
    "Malayalam",
    "Mandaic",
    "Manichaean",
    "Marchen",
    "Medefaidrin",
    "Miao",
    "Modi",
    "Mongolian",
    "Mro",
    "Multani",
    "Myanmar",
    "Nabataean",
    "Nandinagari",
    "Newa",
    "Nko",
    "Nushu",
    "Ogham",
    "Oriya",
    "Osage",
    "Osmanya",
    "Palmyrene",
    "Phoenician",
    "Rejang",
    "Runic",
    "Samaritan",
    "Saurashtra",
    "Sharada",
    "Shavian",
    "Siddham",
    "Sinhala",
    "Sogdian",
    "Soyombo",
    "Sundanese",
    "Syriac",
    "Tagalog",
    "Tagbanwa",
    "Takri",
    "Tamil",
    "Tangsa",
    "Tangut",
    "Telugu",
    "Thaana",
    "Thai",
    "Tibetan",
    "Tifinagh",
    "Tirhuta",
    "Toto",
    "Ugaritic",
    "Vai",
    "Vithkuqi",
    "Wancho",
    "Yezidi",
    "Yi",
];

/// Long names of categories, without underscores.
const LONG_NAMES: [(&str, &str); 41] = [
    ("Casedletter", "LC"),
    ("Closepunctuation", "Pe"),
    ("Cntrl", "Cc"),
    ("Combiningmark", "M"),
    ("Connectorpunctuation", "Pc"),
    ("Control", "Cc"),
    ("Currencysymbol", "Sc"),
    ("Dashpunctuation", "Pd"),
    ("Decimalnumber", "Nd"),
    ("Digit", "Nd"),
    ("Enclosingmark", "Me"),
    ("Finalpunctuation", "Pf"),
    ("Format", "Cf"),
    ("Initialpunctuation", "Pi"),
    ("Letter", "L"),
    ("Letternumber", "Nl"),
    ("Lineseparator", "Zl"),
    ("Lowercaseletter", "Ll"),
    ("Mark", "M"),
    ("Mathsymbol", "Sm"),
    ("Modifierletter", "Lm"),
    ("Modifiersymbol", "Sk"),
    ("Nonspacingmark", "Mn"),
    ("Number", "N"),
    ("Openpunctuation", "Ps"),
    ("Other", "C"),
    ("Otherletter", "Lo"),
    ("Othernumber", "No"),
    ("Otherpunctuation", "Po"),
    ("Othersymbol", "So"),
    ("Paragraphseparator", "Zp"),
    ("Privateuse", "Co"),
    ("Punct", "P"),
    ("Punctuation", "P"),
    ("Separator", "Z"),
    ("Spaceseparator", "Zs"),
    ("Spacingmark", "Mc"),
    ("Symbol", "S"),
    ("Titlecaseletter", "Lt"),
    ("Unassigned", "Cn"),
    ("Uppercaseletter", "Lu"),
];

/// The class of this name; the other characters where it is negated.
pub(super) fn class(name: &str, negated: bool) -> Result<String, Reason> {
    let name = canonical(name);
    let letter = if negated { 'P' } else { 'p' };
    let known = match name.as_str() {
        "Any" | "Assigned" | "Ascii" => &name,
        "Lc" => "LC",
        "Cs" | "Surrogate" => {
            let none_or_any = if negated { r"[\s\S]" } else { r"[^\s\S]" };
            return Ok(none_or_any.to_owned());
        }
        name if CATEGORIES.contains(&name) || SCRIPTS.contains(&name) => name,
        name => {
            let long = LONG_NAMES.iter().find(|(long, _)| *long == name);
            long.ok_or(INVALID_RANGE)?.1
        }
    };
    Ok(format!(r"\{letter}{{{known}}}"))
}

/// The name with its first letter in upper case, the others in lower case, and
/// nothing between words.
fn canonical(name: &str) -> String {
    let mut canonical = String::with_capacity(name.len());
    for letter in name.chars().filter(|letter| !"_- ".contains(*letter)) {
        canonical.push(if canonical.is_empty() {
            letter.to_ascii_uppercase()
        } else {
            letter.to_ascii_lowercase()
        });
    }
    canonical
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    #[test]
    fn every_name_that_go_knows_is_a_class() {
        let long = LONG_NAMES.iter().map(|(long, _)| *long);
        let others = [
            "any",
            "ASCII",
            "Assigned",
            "LC",
            "Cs",
            "surrogate",
            " lu",
            "space_separator",
        ];
        for name in CATEGORIES
            .into_iter()
            .chain(SCRIPTS)
            .chain(long)
            .chain(others)
        {
            for negated in [false, true] {
                let class = class(name, negated).unwrap_or_else(|e| panic!("{name}: {e}"));
                assert!(Regex::new(&class).is_ok(), "{name}");
            }
        }
    }

    #[test]
    fn other_names_are_refused() {
        for name in [
            "",
            "Nope",
            "Emoji",
            "Old_Italic",
            "OldItalic",
            "Script=Greek",
            "gc=L",
            "Uppercase",
        ] {
            assert_eq!(class(name, false), Err(INVALID_RANGE), "{name}");
        }
    }
}
