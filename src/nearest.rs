//! Suggests the name that is most similar to a mistyped one.

/// The minimum similarity of two names, from 0 to 1, for one to be suggested instead of the other.
const MIN_SIMILARITY: f64 = 0.7;

/// The most similar of the offered names.
pub(crate) struct Nearest<'n> {
    wanted: &'n str,
    lower: String,
    best: Option<(f64, String)>,
}

impl<'n> Nearest<'n> {
    pub(crate) fn to(wanted: &'n str) -> Self {
        Self {
            wanted,
            lower: wanted.to_lowercase(),
            best: None,
        }
    }

    pub(crate) fn offer(&mut self, name: &str) {
        let similarity = strsim::normalized_damerau_levenshtein(&self.lower, &name.to_lowercase());
        let bar = self.best.as_ref().map_or(MIN_SIMILARITY, |(best, _)| *best);
        if similarity >= bar {
            self.best = Some((similarity, name.to_owned()));
        }
    }

    /// The most similar name, if one is similar enough.
    pub(crate) fn best(&self) -> Option<&str> {
        self.best.as_ref().map(|(_, name)| name.as_str())
    }

    /// The message that there is no such organization or user. `noun` is the command whose `list` shows all.
    pub(crate) fn missing(&self, what: &str, noun: &str) -> String {
        let wanted = self.wanted;
        match self.best() {
            Some(best) => format!("no such {what} {wanted:?}: did you mean \"{best}\"?"),
            None => format!("no such {what} {wanted:?} (`thanos-login {noun} list` shows all)"),
        }
    }
}
