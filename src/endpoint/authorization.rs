//! Parses `Authorization: Token <40 hex>` as Django REST Framework does.

use zeroize::Zeroizing;

use super::{Error, Services};
use crate::auth::Token;
use crate::http::{ReadField, Request};
use crate::store::Holder;

/// What is wrong with the header field; the token itself is not checked yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    /// There is no header field, or it has another scheme.
    #[error("no token was presented")]
    NotProvided,
    /// The scheme is not followed by a token.
    #[error("the token is missing")]
    NoCredentials,
    /// The scheme is followed by more than one word.
    #[error("the token contains spaces")]
    Spaces,
    /// The token is not UTF-8.
    #[error("the token is not UTF-8")]
    InvalidCharacters,
}

/// Authenticates a request by its token. Returns the token and its holder, and stores the user in the request for the log.
///
/// # Errors
/// [`Error::Header`] or [`Error::Auth`].
pub(super) fn authorize(
    services: &Services,
    request: &mut Request<'_>,
) -> Result<(Token, Holder), Error> {
    let header = request.joined(ReadField::Authorization);
    let header = Zeroizing::new(header.unwrap_or_default());
    let token = parse(&header)?;
    let holder = services.auth.holder(&token, (services.clock)().date)?;
    request.set_user_for_log(&holder.user_uuid);
    request.set_organization(&holder.org_uuid);
    Ok((token, holder))
}

/// Authenticates a request as [`authorize`] does, then refuses a body over the limit: account calls ignore the content of a
/// body, but not its size.
///
/// # Errors
/// Those of [`authorize`], or [`Error::Http`].
pub(super) fn authorize_account_call(
    services: &Services,
    request: &mut Request<'_>,
) -> Result<(Token, Holder), Error> {
    let authorized = authorize(services, request)?;
    request.check_body_size()?;
    Ok(authorized)
}

/// The token in the value of the header field; an empty value means that the field is absent.
///
/// # Errors
/// See [`HeaderFault`].
pub fn parse(header: &[u8]) -> Result<Token, HeaderFault> {
    let mut words = header
        .split(|byte| byte.is_ascii_whitespace() || *byte == 0x0b)
        .filter(|word| !word.is_empty());
    if !words
        .next()
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"Token"))
    {
        return Err(HeaderFault::NotProvided);
    }
    let token = words.next().ok_or(HeaderFault::NoCredentials)?;
    if words.next().is_some() {
        return Err(HeaderFault::Spaces);
    }
    let token = std::str::from_utf8(token).map_err(|_| HeaderFault::InvalidCharacters)?;
    Ok(Token::from_text(token.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_parsed_as_the_published_service_does() {
        for (header, expected) in [
            (&b""[..], Err(HeaderFault::NotProvided)),
            (b"Basic abc", Err(HeaderFault::NotProvided)),
            (b"Tokens abc", Err(HeaderFault::NotProvided)),
            (b"Token", Err(HeaderFault::NoCredentials)),
            (b"tOKEN  ", Err(HeaderFault::NoCredentials)),
            (b"Token a b", Err(HeaderFault::Spaces)),
            (b"Token \xff b", Err(HeaderFault::Spaces)),
            (b"Token \xff", Err(HeaderFault::InvalidCharacters)),
            (b"Token abc", Ok("abc")),
            (b"token \t abc ", Ok("abc")),
        ] {
            let token = parse(header);
            assert_eq!(
                token.as_ref().map(Token::as_str),
                expected.as_ref().copied(),
                "{header:?}"
            );
        }
    }
}
