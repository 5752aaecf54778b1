//! A page of Markdown whose examples are run: a block of commands, and below it what they print.

pub struct Block {
    /// The last heading above it.
    pub heading: String,
    pub language: String,
    pub text: String,
}

/// The fenced blocks, in their order.
fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut is_open = false;
    let mut heading = "";
    for line in page.lines() {
        match (line.strip_prefix("```"), is_open) {
            (Some(language), false) => {
                blocks.push(Block {
                    heading: heading.to_owned(),
                    language: language.to_owned(),
                    text: String::new(),
                });
                is_open = true;
            }
            (Some(_), true) => is_open = false,
            (None, true) => {
                let text = &mut blocks.last_mut().unwrap().text;
                text.push_str(line);
                text.push('\n');
            }
            (None, false) if line.starts_with('#') => heading = line,
            (None, false) => {}
        }
    }
    assert!(!is_open, "the last block does not end");
    blocks
}

/// What each block shows as its output, if it does.
pub fn examples(page: &str) -> Vec<(Block, Option<String>)> {
    let mut examples: Vec<(Block, Option<String>)> = Vec::new();
    for block in blocks(page) {
        let is_output = ["text", "json"].contains(&block.language.as_str());
        match examples.last_mut() {
            Some((example, shown @ None))
                if is_output && ["sh", "python", "javascript"].contains(&&*example.language) =>
            {
                *shown = Some(block.text);
            }
            _ => examples.push((block, None)),
        }
    }
    examples
}

/// Fails unless a block prints what is shown, where `…` is anything.
#[track_caller]
pub fn assert_shows(shown: &str, printed: &str, block: &str) {
    let mut rest = printed.trim_end();
    let pieces: Vec<&str> = shown.trim_end().split('…').collect();
    for (index, piece) in pieces.iter().enumerate() {
        if index > 0 && index == pieces.len() - 1 && rest.ends_with(piece) {
            return;
        }
        let at = rest
            .find(piece)
            .filter(|&at| index > 0 || at == 0)
            .unwrap_or_else(|| panic!("{block}\nprints\n{printed}\nand not\n{shown}"));
        rest = &rest[at + piece.len()..];
    }
    assert_eq!(rest, "", "{block}\nprints\n{printed}\nand not\n{shown}");
}
