//! Reads the bodies of the stub's own calls: unknown keys are refused, and all errors are reported at once.

use super::error::{Error, FieldErrors};
use crate::endpoint;
use crate::http::{Body, Field, Object};

pub(super) struct Input<'b> {
    object: Object<'b>,
    errors: FieldErrors,
}

impl<'b> Input<'b> {
    pub(super) fn of(body: &'b Body, keys: &[&str]) -> Result<Self, Error> {
        let object = body.object().map_err(endpoint::Error::from)?;
        Ok(Self::of_object(object, keys))
    }

    pub(super) fn of_object(object: Object<'b>, keys: &[&str]) -> Self {
        let mut errors = FieldErrors::default();
        for key in object.keys().filter(|key| !keys.contains(key)) {
            errors.add(key, format!("Unknown key; known are {}.", keys.join(", ")));
        }
        Self { object, errors }
    }

    pub(super) fn error(&mut self, key: &str, message: impl Into<String>) {
        self.errors.add(key, message);
    }

    /// The JSON of a key's value; `None` for a key that is null or missing.
    pub(super) fn raw(&self, key: &str) -> Option<&'b str> {
        self.object.raw(key).filter(|raw| *raw != "null")
    }

    /// A whole number; `None` for a key that is null or missing.
    pub(super) fn number(&mut self, key: &str, least: u64, most: u64) -> Option<u64> {
        let number = self.raw(key)?.parse().ok();
        let number = number.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            let message = format!("Expected a whole number from {least} to {most}.");
            self.errors.add(key, message);
        }
        number
    }

    /// True or false; `None` for a key that is null or missing.
    pub(super) fn boolean(&mut self, key: &str) -> Option<bool> {
        let boolean = self.raw(key)?.parse().ok();
        if boolean.is_none() {
            self.error(key, "Must be a valid boolean.");
        }
        boolean
    }

    /// A text; `None` for a key that is null or missing.
    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, Error> {
        let field = self.object.field(key).map_err(endpoint::Error::from)?;
        Ok(match field {
            Field::Text(text) => Some(text.to_string()),
            Field::Missing | Field::Null => None,
            Field::Other => {
                self.errors.add(key, "Not a valid string.");
                None
            }
        })
    }

    /// An object; `None` for a key that is null or missing.
    pub(super) fn object(&mut self, key: &str) -> Option<Object<'b>> {
        self.raw(key)?;
        let object = self.object.object(key);
        match object {
            Ok(Some(object)) => return Some(object),
            Ok(None) => self.error(key, "Not a valid object."),
            Err(_) => self.error(key, "A key is given twice."),
        }
        None
    }

    pub(super) fn finish(self) -> Result<(), Error> {
        self.errors.into_result()
    }
}
