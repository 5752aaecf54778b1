//! Characters that are invisible, or that change how the text around them is displayed.
//!
//! These are characters that change the direction of text, blanks of unusual widths, fillers, unassigned code points
//! and private-use code points. Letters, marks and symbols of all scripts are not among them.

use std::ops::RangeInclusive;

/// Ignorable and blank characters whose Unicode category is letter, mark or symbol.
const LETTERS_MARKS_SYMBOLS: [RangeInclusive<char>; 11] = [
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

/// Whether a character outside ASCII is invisible. ASCII blanks and control characters are for the caller to decide.
pub fn is_invisible(char: char) -> bool {
    !char.is_ascii()
        && (is_not_graphic(char)
            || LETTERS_MARKS_SYMBOLS
                .iter()
                .any(|range| range.contains(&char)))
}

/// Whether Rust's `Debug` escapes the character: control characters, format characters, separators and unassigned code
/// points.
fn is_not_graphic(char: char) -> bool {
    let mut text = [b'x'; 5];
    let length = char.encode_utf8(&mut text[1..]).len();
    let text = std::str::from_utf8(&text[..=length]).expect("a letter and a character");
    // A letter comes first, because combining marks at the start of a text are escaped too.
    text.escape_debug().count() > 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_reverse_or_hide_text_are_invisible() {
        let ranges = [
            '\u{80}'..='\u{A0}',
            '\u{AD}'..='\u{AD}',
            '\u{61C}'..='\u{61C}',
            '\u{2000}'..='\u{200F}',
            '\u{2028}'..='\u{202F}',
            '\u{205F}'..='\u{206F}',
            '\u{3000}'..='\u{3000}',
            '\u{E000}'..='\u{F8FF}',
            '\u{FEFF}'..='\u{FEFF}',
            '\u{FFF9}'..='\u{FFFB}',
            '\u{1BCA0}'..='\u{1BCA3}',
        ];
        for char in ranges.into_iter().chain(LETTERS_MARKS_SYMBOLS).flatten() {
            assert!(is_invisible(char), "U+{:04X}", u32::from(char));
        }
    }

    #[test]
    fn letters_marks_and_symbols_of_all_scripts_are_visible() {
        let text = "Zoë e\u{301} 日本 \"a\" 'b' \\ 𝔘 😀 שלום مرحبا हिन्दी ไทย";
        assert!(!text.contains(is_invisible));
    }
}
