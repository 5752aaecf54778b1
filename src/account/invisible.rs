//! Characters that nobody sees, or that change how the text around them looks.
//!
//! They are those that change the direction of text, blanks of other widths, fillers, and what Unicode assigns to nobody or
//! leaves to private use. Letters, marks and symbols of all scripts are none of them.

use std::ops::RangeInclusive;

/// Unicode's ignorable and blank characters that are letters, marks or symbols by category.
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

/// Not in ASCII: whether a blank or a control may stay there depends on the place.
pub fn is_invisible(char: char) -> bool {
    !char.is_ascii()
        && (is_not_graphic(char)
            || LETTERS_MARKS_SYMBOLS
                .iter()
                .any(|range| range.contains(&char)))
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
    fn every_character_that_turns_or_hides_text_is_invisible() {
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
    fn letters_marks_and_symbols_of_all_scripts_are_seen() {
        let text = "Zoë e\u{301} 日本 \"a\" 'b' \\ 𝔘 😀 שלום مرحبا हिन्दी ไทย";
        assert!(!text.contains(is_invisible));
    }
}
