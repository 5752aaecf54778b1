//! Names that are nearly the one that was meant.

/// How alike two names must be, from 0 to 1, for one to be offered instead of the other.
const LIKENESS: f64 = 0.7;

/// The most alike of the names that are offered.
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
        let likeness = strsim::normalized_damerau_levenshtein(&self.lower, &name.to_lowercase());
        let bar = self.best.as_ref().map_or(LIKENESS, |(best, _)| *best);
        if likeness >= bar {
            self.best = Some((likeness, name.to_owned()));
        }
    }

    /// The most alike, if one is alike at all.
    pub(crate) fn best(&self) -> Option<&str> {
        self.best.as_ref().map(|(_, name)| name.as_str())
    }

    /// Says that there is no such organization or user, whose command is `noun`.
    pub(crate) fn missing(&self, what: &str, noun: &str) -> String {
        let wanted = self.wanted;
        match self.best() {
            Some(best) => format!("no such {what} {wanted:?}: did you mean \"{best}\"?"),
            None => format!("no such {what} {wanted:?} (`thanos-login {noun} list` shows all)"),
        }
    }
}
