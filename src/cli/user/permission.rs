//! The flag that gives permissions to a user.

use anyhow::anyhow;

use crate::accounts::Permission;
use crate::random;
use crate::store::Store;

#[derive(clap::Args)]
#[group(skip)]
pub(super) struct PermissionArgs {
    /// A permission that it has, by its name or UUID; those given are all that it has, and an empty one is none. A name that
    /// no permission has makes a new one
    #[arg(long = "permission", value_name = "NAME")]
    permissions: Vec<String>,
}

/// The permissions that the flags give.
pub(super) struct Given {
    /// `None` when no flag is there.
    pub(super) permissions: Option<Vec<Permission>>,
    /// The names of those that are new.
    new: Vec<String>,
}

impl PermissionArgs {
    pub(super) fn is_empty(&self) -> bool {
        self.permissions.is_empty()
    }

    /// Looks them up; each counts once.
    pub(super) fn find(&self, store: &Store) -> anyhow::Result<Given> {
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
                // Not the one derived from the name: a permission that had the name before may have that.
                permission.uuid = Some(random::uuid()?.to_string());
            }
            permissions.push(permission);
        }
        let is_given = !self.permissions.is_empty();
        Ok(Given {
            permissions: is_given.then_some(permissions),
            new,
        })
    }
}

impl Given {
    /// Ends the line that says what was done.
    pub(super) fn new_ones(&self) -> String {
        match &self.new[..] {
            [] => String::new(),
            [name] => format!("; the permission {name} is new"),
            names => format!("; the permissions {} are new", names.join(", ")),
        }
    }
}
