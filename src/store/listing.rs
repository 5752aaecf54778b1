//! The order and the length of a listing.

use crate::account::spelled;

/// The order and the maximum length of a listing.
#[derive(Clone, Copy, Debug)]
pub struct Listing<O> {
    /// The sort key of the rows.
    pub order: O,
    /// Whether the order is descending.
    pub reverse: bool,
    /// The maximum number of rows. `None` for all.
    pub limit: Option<u32>,
}

spelled! {
    /// The sort key of organizations.
    OrganizationOrder {
        /// By name.
        Name = "name",
        /// By the date of joining.
        CreatedDate = "created_date",
        /// By status.
        Status = "status",
        /// By the number of users.
        Users = "users",
    }
}

spelled! {
    /// The sort key of users.
    UserOrder {
        /// By username.
        Username = "username",
        /// By the name of the organization.
        Org = "org",
        /// By status.
        Status = "status",
        /// By the time of the last login. Users who have never logged in come first.
        LastLogin = "last_login",
        /// By the number of valid tokens.
        TokensLive = "tokens_live",
    }
}

spelled! {
    /// The sort key of tokens.
    TokenOrder {
        /// By the time of issue.
        IssuedAt = "issued_at",
        /// By the time of expiry. Tokens that never expire come first.
        ExpiresAt = "expires_at",
        /// By the username of the token's user.
        Username = "username",
    }
}

impl<O> Listing<O> {
    /// The `ORDER BY` and `LIMIT` clauses that sort by `column` and then by `id`. Both are constants of this program,
    /// never input.
    pub(super) fn clause(&self, column: &str, id: &str) -> String {
        let order = match self.reverse {
            false => "ASC NULLS FIRST",
            true => "DESC NULLS LAST",
        };
        let limit = self.limit.map(|limit| format!(" LIMIT {limit}"));
        format!(
            "ORDER BY {column} {order}, {id}{}",
            limit.unwrap_or_default()
        )
    }
}
