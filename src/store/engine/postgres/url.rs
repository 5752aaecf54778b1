//! Splitting the URL of a database into its parts, as libpq does. Errors contain no part of the URL that may be a
//! password.

use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use super::address::AddressError;

const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// The name of the only secret parameter.
const PASSWORD: &str = "password";

/// The parts of a URL, still percent-encoded.
pub(super) struct Url<'u> {
    scheme: &'u str,
    /// The part before `@`: a user or a password or both.
    userinfo: Option<&'u str>,
    hosts: &'u str,
    /// The part after `/`.
    database: Option<&'u str>,
    query: Option<&'u str>,
}

/// The decoded values of a URL. A value in the query overrides the same one in the rest of the URL.
#[derive(Default)]
pub(super) struct Values {
    pub(super) user: Option<String>,
    pub(super) password: Option<Zeroizing<String>>,
    pub(super) hosts: Vec<String>,
    /// The ports: one for each host, one for all hosts, or none. An empty text means the default port.
    pub(super) ports: Vec<String>,
    pub(super) database: Option<String>,
    /// All other parameters, in order.
    pub(super) parameters: Vec<(String, String)>,
}

/// Splits a URL into the URL without its password, and the password. `None` if there is no password or the URL is
/// malformed.
pub(in crate::store) fn take_password(text: &str) -> Option<(String, Zeroizing<String>)> {
    let url = Url::split(text).ok()?;
    let password = url
        .values()
        .ok()?
        .password
        .filter(|password| !password.is_empty())?;
    Some((url.without_password(), password))
}

impl<'u> Url<'u> {
    /// Splits a URL.
    ///
    /// # Errors
    /// If the text is not a URL of a database, or contains an `@` that is not encoded.
    pub(super) fn split(text: &'u str) -> Result<Self, AddressError> {
        let scheme = SCHEMES.into_iter().find(|scheme| text.starts_with(scheme));
        let scheme = scheme.ok_or(AddressError::Form)?;
        let rest = &text[scheme.len()..];
        let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        // The text before an unexpected `@` may be part of a password.
        if rest.matches('@').count() > 1 || tail.contains('@') {
            return Err(AddressError::Encoding);
        }
        let (userinfo, hosts) = match authority.split_once('@') {
            Some((userinfo, hosts)) => (Some(userinfo), hosts),
            None => (None, authority),
        };
        let (path, query) = match tail.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (tail, None),
        };
        Ok(Self {
            scheme,
            userinfo,
            hosts,
            database: path.strip_prefix('/'),
            query,
        })
    }

    /// Decodes all values.
    ///
    /// # Errors
    /// If a part is malformed.
    pub(super) fn values(&self) -> Result<Values, AddressError> {
        let mut values = Values::default();
        if let Some(userinfo) = self.userinfo {
            let (user, password) = match userinfo.split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (userinfo, None),
            };
            values.user = Some(decoded(user)?);
            values.password = password.map(decoded).transpose()?.map(Zeroizing::new);
        }
        if !self.hosts.is_empty() {
            for server in self.hosts.split(',') {
                let (host, port) = host_and_port(server)?;
                values.hosts.push(decoded(host)?);
                values.ports.push(port.to_owned());
            }
        }
        values.database = self.database.map(decoded).transpose()?;
        for parameter in self.parameters() {
            let (name, value) = parameter.split_once('=').ok_or(AddressError::Query)?;
            values.set(decoded(name)?, decoded(value)?);
        }
        Ok(values)
    }

    /// The URL without its password.
    pub(super) fn without_password(&self) -> String {
        let user = self
            .userinfo
            .and_then(|userinfo| userinfo.split(':').next());
        let at = if user.is_some() { "@" } else { "" };
        let slash = if self.database.is_some() { "/" } else { "" };
        let kept = self
            .parameters()
            .filter(|parameter| !is_password(parameter));
        let kept: Vec<&str> = kept.collect();
        let mark = if kept.is_empty() { "" } else { "?" };
        let (scheme, hosts, query) = (self.scheme, self.hosts, kept.join("&"));
        let (user, database) = (user.unwrap_or_default(), self.database.unwrap_or_default());
        format!("{scheme}{user}{at}{hosts}{slash}{database}{mark}{query}")
    }

    fn parameters(&self) -> impl Iterator<Item = &'u str> {
        let query = self.query.unwrap_or_default();
        query.split('&').filter(|parameter| !parameter.is_empty())
    }
}

impl Values {
    fn set(&mut self, name: String, value: String) {
        let list = |value: &str| value.split(',').map(str::to_owned).collect();
        match name.as_str() {
            "user" => self.user = Some(value),
            // An empty password means none, and does not override another one.
            PASSWORD if value.is_empty() => {}
            PASSWORD => self.password = Some(value.into()),
            "dbname" => self.database = Some(value),
            "host" => self.hosts = list(&value),
            "port" => self.ports = list(&value),
            _ => self.parameters.push((name, value)),
        }
    }
}

fn is_password(parameter: &str) -> bool {
    let name = parameter.split('=').next().unwrap_or_default();
    decoded(name).is_ok_and(|name| name == PASSWORD)
}

fn host_and_port(server: &str) -> Result<(&str, &str), AddressError> {
    let (host, rest) = match server.strip_prefix('[') {
        Some(server) => server.split_once(']').ok_or(AddressError::Form)?,
        None => server.split_at(server.find(':').unwrap_or(server.len())),
    };
    match rest.strip_prefix(':') {
        Some(port) => Ok((host, port)),
        None if rest.is_empty() => Ok((host, "")),
        None => Err(AddressError::Form),
    }
}

fn decoded(text: &str) -> Result<String, AddressError> {
    let is_code = |code: &str| {
        let digits = code.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit) && digits != b"00")
    };
    if !text.split('%').skip(1).all(is_code) {
        return Err(AddressError::Encoding);
    }
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(String::from)
        .map_err(|_| AddressError::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removing_the_password_leaves_the_rest_unchanged() {
        for (url, without) in [
            (
                "postgres://u:s%40c@a:1,[::1]:2/d?sslmode=disable",
                "postgres://u@a:1,[::1]:2/d?sslmode=disable",
            ),
            ("postgresql://:s@a/d", "postgresql://@a/d"),
            ("postgres://u@a/d?password=s", "postgres://u@a/d"),
            (
                "postgres://u@a/d?x=%2F&p%61ssword=s&host=b",
                "postgres://u@a/d?x=%2F&host=b",
            ),
            ("postgres://a/d", "postgres://a/d"),
            ("postgres:///d?host=/run", "postgres:///d?host=/run"),
        ] {
            let url = Url::split(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!(url.without_password(), without);
        }
    }

    #[test]
    fn an_empty_password_does_not_override_another_one() {
        for url in [
            "postgres://u:s@a/d?password=",
            "postgres://u@a/d?password=s&password=",
        ] {
            let (without, password) = take_password(url).unwrap_or_else(|| panic!("{url}"));
            assert_eq!(without, "postgres://u@a/d");
            assert_eq!(*password, "s");
        }
    }
}
