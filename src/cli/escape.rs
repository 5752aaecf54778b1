//! Text of others on its way to a terminal: names and paths could steer it, or look like something else than they are.
//!
//! Escaped are control characters, and characters that cannot be seen: those that change the direction of text, blanks of
//! other widths, and fillers. Letters, marks and symbols of all scripts stay.

use std::borrow::Cow;
use std::fmt::Write;
use std::ops::RangeInclusive;

/// Unicode's ignorable and blank characters that are letters, marks or symbols by category.
const INVISIBLE: [RangeInclusive<char>; 11] = [
    '\u{34F}'..='\u{34F}',
    '\u{115F}'..='\u{1160}',
    '\u{17B4}'..='\u{17B5}',
    '\u{180B}'..='\u{180F}',
    '\u{2800}'..='\u{2800}',
    '\u{3164}'..='\u{3164}',
    '\u{FE00}'..='\u{FE0F}',
    '\u{FFA0}'..='\u{FFA0}',
    '\u{1D159}'..='\u{1D159}',
    '\u{1D173}'..='\u{1D17A}',
    '\u{E0000}'..='\u{E0FFF}',
];

/// For one line of text.
pub(super) fn printable(text: &str) -> String {
    escape(
        text,
        |char| char.is_control() || is_invisible(char),
        as_rust,
    )
    .into_owned()
}

/// For one line of text that has colours of its own.
pub(super) fn visible_line(text: &str) -> Cow<'_, str> {
    let is_hidden = |char| matches!(char, '\n' | '\r') || is_invisible(char);
    escape(text, is_hidden, as_rust)
}

/// For text that has line breaks and colours of its own.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    escape(text, is_invisible, as_rust)
}

/// For a line of JSON, in which they are part of strings: what it says stays the same.
pub(super) fn visible_json(text: &str) -> Cow<'_, str> {
    let is_hidden = |char| char == '\x7F' || is_invisible(char);
    escape(text, is_hidden, as_json)
}

fn as_rust(char: char, out: &mut String) {
    out.extend(char.escape_default());
}

fn as_json(char: char, out: &mut String) {
    for unit in char.encode_utf16(&mut [0; 2]) {
        write!(out, "\\u{unit:04x}").expect("a string takes everything");
    }
}

fn escape(
    text: &str,
    is_hidden: impl Fn(char) -> bool,
    write: impl Fn(char, &mut String),
) -> Cow<'_, str> {
    if !text.contains(&is_hidden) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        match is_hidden(char) {
            true => write(char, &mut out),
            false => out.push(char),
        }
    }
    out.into()
}

/// Not in ASCII: whether a blank or a control may stay depends on the place.
fn is_invisible(char: char) -> bool {
    !char.is_ascii()
        && (is_not_graphic(char) || INVISIBLE.iter().any(|range| range.contains(&char)))
}

/// By the tables of Rust's `Debug`: controls, format characters, separators, and what is not assigned.
fn is_not_graphic(char: char) -> bool {
    let mut text = [b'x'; 5];
    let length = char.encode_utf8(&mut text[1..]).len();
    let text = std::str::from_utf8(&text[..=length]).expect("a letter and a character");
    // After a letter, since it also escapes marks that have none to stand on.
    text.escape_debug().count() > 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_escaped_and_all_else_stays() {
        for (text, escaped) in [
            ("a\x1b[31mé\n", "a\\u{1b}[31mé\\n"),
            ("\u{7f}\u{85}\u{9b}", "\\u{7f}\\u{85}\\u{9b}"),
            (
                "Zoë e\u{301} 日本 \"a\" 'b' \\ 𝔘 😀",
                "Zoë e\u{301} 日本 \"a\" 'b' \\ 𝔘 😀",
            ),
            ("שלום مرحبا हिन्दी ไทย", "שלום مرحبا हिन्दी ไทย"),
        ] {
            assert_eq!(printable(text), escaped);
        }
    }

    #[test]
    fn every_character_that_turns_or_hides_text_is_escaped() {
        let ranges = [
            '\u{80}'..='\u{A0}',
            '\u{AD}'..='\u{AD}',
            '\u{61C}'..='\u{61C}',
            '\u{2000}'..='\u{200F}',
            '\u{2028}'..='\u{202F}',
            '\u{205F}'..='\u{206F}',
            '\u{3000}'..='\u{3000}',
            '\u{FEFF}'..='\u{FEFF}',
            '\u{FFF9}'..='\u{FFFB}',
            '\u{1BCA0}'..='\u{1BCA3}',
        ];
        for char in ranges.into_iter().chain(INVISIBLE).flatten() {
            let text = format!("a{char}b");
            let code = u32::from(char);
            assert_eq!(printable(&text), format!("a\\u{{{code:x}}}b"));
            assert_eq!(visible(&text), printable(&text));
            let json = serde_json::to_string(&text).unwrap();
            let shown = visible_json(&json);
            assert!(shown.is_ascii(), "{shown}");
            assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
        }
    }

    #[test]
    fn line_breaks_and_colours_of_its_own_stay() {
        let text = "\x1b[1mHeading\x1b[0m\n\tline\n";
        assert_eq!(visible(text), text);
        assert_eq!(visible_line(text), "\x1b[1mHeading\x1b[0m\\n\tline\\n");
    }
}
