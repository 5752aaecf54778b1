//! `GET /api/organizations/users/all/` and `GET /api/organizations/users/detail/<user_uuid>/`: the users of the caller's
//! organization.

use std::io::{self, Write};

use serde::Serialize;

use super::authorization::authorize_account_call;
use super::{Error, Services};
use crate::account::{Assignment, Person};
use crate::http::{JSON, Pieces, Reply, Request};
use crate::store::Member;

/// The path of the list.
pub const ALL_PATH: &str = "/api/organizations/users/all/";

/// The path of one user, with a placeholder for the UUID.
pub const DETAIL_NAME: &str = "/api/organizations/users/detail/{user_uuid}/";

/// The parts of the path of one user before and after the UUID.
const DETAIL_PATH: (&str, &str) = ("/api/organizations/users/detail/", "/");

/// The UUID in the path of one user; `None` if the path is another, or the UUID is not in hyphenated lower-case form.
pub fn user_uuid(path: &str) -> Option<&str> {
    let uuid = path
        .strip_prefix(DETAIL_PATH.0)?
        .strip_suffix(DETAIL_PATH.1)?;
    let is_hyphen = |index| matches!(index, 8 | 13 | 18 | 23);
    let is_valid = |(index, byte): (usize, u8)| match byte {
        b'-' => is_hyphen(index),
        b'0'..=b'9' | b'a'..=b'f' => !is_hyphen(index),
        _ => false,
    };
    (uuid.len() == 36 && uuid.bytes().enumerate().all(is_valid)).then_some(uuid)
}

/// Answers all users of the caller's organization, ordered by username.
///
/// # Errors
/// See [`Error`].
pub fn handle_all(services: &Services, request: &mut Request<'_>) -> Result<Reply, Error> {
    let (_, holder) = authorize_account_call(services, request)?;
    services.long_answers.check(&holder.org_uuid)?;
    let mut permit = services.lists.admit(&holder).ok_or(Error::TooManyLists)?;
    permit.await_turn();
    let mut list = List::new(request.is_head());
    services
        .auth
        .for_each_member(&holder, |member| list.add(&member))?;
    permit.finish_reading();
    let reply = list.into_reply();
    if services.long_answers.include(&reply) {
        return Ok(reply.holding(permit));
    }
    // Given back before a short answer is sent: the client may receive it and send its next request before the sending thread
    // continues.
    drop(permit);
    Ok(reply)
}

/// Answers one user of the caller's organization.
///
/// # Errors
/// [`Error::NotFound`] both for an unknown user and for a user of another organization; see [`Error`] for the others.
pub fn handle_detail(services: &Services, request: &mut Request<'_>) -> Result<Reply, Error> {
    let (_, holder) = authorize_account_call(services, request)?;
    let uuid = user_uuid(request.path()).ok_or(Error::NotFound)?;
    let member = services
        .auth
        .member(&holder, uuid)?
        .ok_or(Error::NotFound)?;
    Ok(Reply::json(200, &UserAnswer::from(&member)))
}

/// A list that is serialized row by row, so that even a hundred thousand users are in memory only once, in their final form.
/// For a HEAD request only the number of bytes is counted.
struct List {
    bytes: usize,
    /// `None` if the bytes are only counted.
    body: Option<Pieces>,
}

impl List {
    fn new(is_counted: bool) -> Self {
        Self {
            bytes: 0,
            body: (!is_counted).then(Pieces::default),
        }
    }

    fn add(&mut self, member: &Member) {
        self.separate(if self.bytes == 0 { b"[" } else { b"," });
        serde_json::to_writer(self, &UserAnswer::from(member)).expect(CANNOT_FAIL);
    }

    fn into_reply(mut self) -> Reply {
        if self.bytes == 0 {
            self.separate(b"[");
        }
        self.separate(b"]");
        match self.body {
            Some(body) => Reply::pieces(200, JSON, body),
            None => Reply::without_body(200, JSON, self.bytes),
        }
    }

    fn separate(&mut self, by: &[u8]) {
        self.write_all(by).expect(CANNOT_FAIL);
    }
}

const CANNOT_FAIL: &str =
    "a struct of strings can be serialized, and writing to memory cannot fail";

impl Write for List {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = match &mut self.body {
            Some(body) => body.write(bytes)?,
            None => bytes.len(),
        };
        self.bytes += taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One user in the body of an answer, as published; the order of the fields matters.
#[derive(Serialize)]
struct UserAnswer<'m> {
    uuid: &'m str,
    person: &'m Person,
    permission_assignments: PermissionAssignments<'m>,
    status: &'static str,
}

#[derive(Serialize)]
struct PermissionAssignments<'m> {
    permissions: &'m [Assignment],
    org_user: OrgUser<'m>,
}

#[derive(Serialize)]
struct OrgUser<'m> {
    uuid: &'m str,
}

impl<'m> From<&'m Member> for UserAnswer<'m> {
    fn from(member: &'m Member) -> Self {
        Self {
            uuid: &member.uuid,
            person: &member.person,
            permission_assignments: PermissionAssignments {
                permissions: &member.permissions,
                org_user: OrgUser { uuid: &member.uuid },
            },
            status: member.status.as_str(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hyphenated_lower_case_form_is_a_uuid() {
        let path = |uuid: &str| format!("/api/organizations/users/detail/{uuid}/");
        let uuid = "3a7acb28-ab13-437e-8c35-46cf4f0bea49";
        assert_eq!(user_uuid(&path(uuid)), Some(uuid));
        for bad in [
            "",
            "3A7ACB28-AB13-437E-8C35-46CF4F0BEA49",
            "3a7acb28ab13437e8c3546cf4f0bea49",
            "3a7acb28-ab13-437e-8c35-46cf4f0bea4g",
            "3a7acb28-ab13-437e-8c35-46cf4f0bea4",
            "3a7acb28-ab13-437e-8c35046cf4f0bea49",
            "-a7acb28-ab13-437e-8c35-46cf4f0bea49",
            "3a7acb28-ab13-437e-8c35-46cf4f0bea49/",
        ] {
            assert_eq!(user_uuid(&path(bad)), None, "{bad}");
        }
        assert_eq!(user_uuid(path(uuid).trim_end_matches('/')), None);
    }
}
