//! The order of a listing, and how much of it.

use crate::account::spelled;

/// Which rows come first, and how many.
#[derive(Clone, Copy, Debug)]
pub struct Listing<O> {
    /// What the rows are ordered by.
    pub order: O,
    /// From the last to the first.
    pub reverse: bool,
    /// At most this many; `None` is all.
    pub limit: Option<u32>,
}

spelled! {
    /// What organizations are listed by.
    OrganizationOrder {
        /// The name.
        Name = "name",
        /// When it joined.
        CreatedDate = "created_date",
        /// Where it stands.
        Status = "status",
        /// How many users it has.
        Users = "users",
    }
}

spelled! {
    /// What users are listed by.
    UserOrder {
        /// What they log in with.
        Username = "username",
        /// The name of the organization.
        Org = "org",
        /// Where they stand.
        Status = "status",
        /// When they last logged in; those who never did come first.
        LastLogin = "last_login",
        /// How many tokens they have now.
        TokensLive = "tokens_live",
    }
}

spelled! {
    /// What tokens are listed by.
    TokenOrder {
        /// When they were issued.
        IssuedAt = "issued_at",
        /// When they expire; those that never do come first.
        ExpiresAt = "expires_at",
        /// Whose they are.
        Username = "username",
    }
}

impl<O> Listing<O> {
    /// The end of a statement that lists rows by `column`, those with the same value by `id`. Both are text of this program.
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
