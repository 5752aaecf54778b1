//! The calls that a token authorises. Each call checks the token and the statuses again.

use jiff::Timestamp;

use super::{Auth, Error, Token};
use crate::account::{OrganizationStatus, UserStatus};
use crate::store::{Holder, Member, Organization};

impl Auth {
    /// The holder of a token. The token of a user or organization that is no longer ACTIVE is refused from the next
    /// request on, whichever process changed the status.
    ///
    /// # Errors
    /// [`Error::BadToken`], which does not say why, or [`Error::Store`].
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
    /// [`Error::BadToken`] when the organization has been deleted since the token was checked, or [`Error::Store`].
    pub fn organization(&self, holder: &Holder) -> Result<Organization, Error> {
        let organization = self.store.organization(&holder.org_uuid)?;
        organization.ok_or(Error::BadToken)
    }

    /// Passes each user of the holder's organization to `receive`, ordered by username.
    ///
    /// # Errors
    /// [`Error::BadToken`] when the organization has been deactivated or deleted since the token was checked, or
    /// [`Error::Store`].
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

    /// A user of the holder's organization; `None` when there is no such user in it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn member(&self, holder: &Holder, user_uuid: &str) -> Result<Option<Member>, Error> {
        Ok(self.store.member(holder.org_id, user_uuid)?)
    }

    /// Revokes a token; a pinned token stays valid.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn log_out(&self, token: &Token) -> Result<(), Error> {
        Ok(self.store.revoke_token(token.digest().0)?)
    }

    /// Revokes all tokens of the holder; a pinned token stays valid.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn log_out_everywhere(&self, holder: &Holder) -> Result<(), Error> {
        Ok(self.store.revoke_user_tokens(holder.user_id)?)
    }
}
