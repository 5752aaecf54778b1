//! Escapes text from outside before it is written to a terminal: names and paths could control the terminal, or look
//! different from what they are.
//!
//! Escapes control characters and invisible characters. Letters, marks and symbols of all scripts are kept.

use std::borrow::Cow;
use std::fmt::Write;

use crate::account::is_invisible;

/// Escapes one line of text.
pub(super) fn printable(text: &str) -> String {
    escape(
        text,
        |char| char.is_control() || is_invisible(char),
        as_rust,
    )
    .into_owned()
}

/// Escapes one line of text that contains colours.
pub(super) fn visible_line(text: &str) -> Cow<'_, str> {
    let is_hidden = |char| matches!(char, '\n' | '\r') || is_invisible(char);
    escape(text, is_hidden, as_rust)
}

/// Escapes text that contains line breaks and colours.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    escape(text, is_invisible, as_rust)
}

/// Escapes a line of JSON. Such characters only occur in strings there, so the meaning does not change.
pub(super) fn visible_json(text: &str) -> Cow<'_, str> {
    let is_hidden = |char: char| char >= '\x7F' && char.is_control() || is_invisible(char);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_are_escaped_and_all_others_are_kept() {
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
    fn an_invisible_character_is_escaped_everywhere() {
        for char in ['\u{A0}', '\u{200B}', '\u{202E}', '\u{3164}', '\u{E0020}'] {
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
    fn line_breaks_and_colours_of_the_text_are_kept() {
        let text = "\x1b[1mHeading\x1b[0m\n\tline\n";
        assert_eq!(visible(text), text);
        assert_eq!(visible_line(text), "\x1b[1mHeading\x1b[0m\\n\tline\\n");
    }
}
