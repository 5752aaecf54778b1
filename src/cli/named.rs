//! Parses values of flags that are the names of an enum.

use std::ffi::OsStr;
use std::marker::PhantomData;
use std::str::FromStr;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command};

use crate::account::UnknownName;
use crate::nearest::Nearest;

/// A parser for the names of an enum, ignoring case, which also shows the names in the help.
pub(super) fn named<T: Named>(names: &'static [&'static str]) -> impl TypedValueParser<Value = T> {
    NameParser(names, PhantomData)
}

/// An enum with names.
pub(super) trait Named: FromStr<Err = UnknownName> + Clone + Send + Sync + 'static {}

impl<T: FromStr<Err = UnknownName> + Clone + Send + Sync + 'static> Named for T {}

/// The accepted names, and the enum that they are parsed into.
#[derive(Clone)]
struct NameParser<T>(&'static [&'static str], PhantomData<T>);

impl<T: Named> TypedValueParser for NameParser<T> {
    type Value = T;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<T, clap::Error> {
        if let Some(Ok(known)) = value.to_str().map(str::parse) {
            return Ok(known);
        }
        // Only for its error message, since clap compares names exactly.
        let exact = PossibleValuesParser::new(self.0).try_map(|name| name.parse::<T>());
        exact.parse_ref(command, arg, value).map_err(|mut error| {
            let typed = value.to_string_lossy();
            let mut nearest = Nearest::to(&typed);
            self.0.iter().for_each(|name| nearest.offer(name));
            if let Some(name) = nearest.best() {
                error.insert(
                    ContextKind::SuggestedValue,
                    ContextValue::String(name.to_owned()),
                );
            }
            error
        })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.0.iter().map(PossibleValue::new)))
    }
}
