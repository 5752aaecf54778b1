//! What a token opens: the account calls, each decided at the moment it is made.

use jiff::Timestamp;

use super::{Auth, Error, Token};
use crate::account::{OrganizationStatus, UserStatus};
use crate::store::{Holder, Member, Organization};

impl Auth {
    /// Finds out whose a token is. A user or organization that was switched off loses it with the next request, whoever
    /// changed the row.
    ///
    /// # Errors
    /// [`Error::BadToken`], which does not tell why, or [`Error::Store`].
    pub fn holder(&self, token: &Token, now: Timestamp) -> Result<Holder, Error> {
        let holder = self.store.holder(&token.digest().0)?;
        holder
            .filter(|holder| holder.expires_at.is_none_or(|expires_at| now < expires_at))
            .filter(|holder| holder.user_status == UserStatus::Active)
            .filter(|holder| holder.org_status == OrganizationStatus::Active)
            .ok_or(Error::BadToken)
    }

    /// The holder's organization.
    ///
    /// # Errors
    /// [`Error::BadToken`] when it was deleted meanwhile, or [`Error::Store`].
    pub fn organization(&self, holder: &Holder) -> Result<Organization, Error> {
        let organization = self.store.organization(&holder.org_uuid)?;
        organization.ok_or(Error::BadToken)
    }

    /// Hands on the users of the holder's organization one by one, ordered by username.
    ///
    /// # Errors
    /// [`Error::BadToken`] when it was switched off or deleted meanwhile, or [`Error::Store`].
    pub fn for_each_member(
        &self,
        holder: &Holder,
        receive: impl FnMut(Member) + Send,
    ) -> Result<(), Error> {
        if self.store.for_each_member(&holder.org_uuid, receive)? {
            Ok(())
        } else {
            Err(Error::BadToken)
        }
    }

    /// A user of the holder's organization.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn member(&self, holder: &Holder, user_uuid: &str) -> Result<Option<Member>, Error> {
        Ok(self.store.member(holder.org_id, user_uuid)?)
    }

    /// Ends a token; a pinned one goes on.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn log_out(&self, token: &Token) -> Result<(), Error> {
        Ok(self.store.revoke_token(token.digest().0)?)
    }

    /// Ends all tokens of the holder; a pinned one goes on.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn log_out_everywhere(&self, holder: &Holder) -> Result<(), Error> {
        Ok(self.store.revoke_user_tokens(holder.user_id)?)
    }
}
