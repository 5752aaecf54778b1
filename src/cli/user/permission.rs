//! The flag for the permissions of a user.

use anyhow::anyhow;

use crate::accounts::Permission;
use crate::random;
use crate::store::Store;

#[derive(clap::Args)]
#[group(skip)]
pub(super) struct PermissionArgs {
    /// Permission of the user, by name or UUID; repeatable. Replaces all permissions of the user; an empty value
    /// removes them, and an unknown name creates a permission
    #[arg(long = "permission", value_name = "NAME")]
    permissions: Vec<String>,
}

/// The permissions in the flags.
pub(super) struct GivenPermissions {
    /// `None` if the flag is not given.
    pub(super) permissions: Option<Vec<Permission>>,
    /// The names of the new permissions.
    new: Vec<String>,
}

impl PermissionArgs {
    pub(super) fn is_empty(&self) -> bool {
        self.permissions.is_empty()
    }

    /// Looks up the permissions, and removes duplicates.
    pub(super) fn find(&self, store: &Store) -> anyhow::Result<GivenPermissions> {
        let mut permissions: Vec<Permission> = Vec::new();
        let mut new = Vec::new();
        for text in self
            .permissions
            .iter()
            .filter(|text| !text.trim().is_empty())
        {
            let found = store.permission_called(text)?;
            let mut permission = found.map_err(|message| anyhow!(message))?;
            let is_there = |other: &Permission| {
                other.name == permission.name
                    && (permission.uuid.is_none() || other.uuid == permission.uuid)
            };
            if permissions.iter().any(is_there) {
                continue;
            }
            if permission.uuid.is_none() {
                new.push(permission.name.clone());
                // Random, since a permission that was renamed may have the UUID that is derived from the name.
                permission.uuid = Some(random::uuid()?.to_string());
            }
            permissions.push(permission);
        }
        let is_given = !self.permissions.is_empty();
        Ok(GivenPermissions {
            permissions: is_given.then_some(permissions),
            new,
        })
    }
}

impl GivenPermissions {
    /// The end of the report about the new permissions.
    pub(super) fn new_ones(&self) -> String {
        match &self.new[..] {
            [] => String::new(),
            [name] => format!("; the permission {name} is new"),
            names => format!("; the permissions {} are new", names.join(", ")),
        }
    }
}
