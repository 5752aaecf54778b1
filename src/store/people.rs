//! People and permissions, as a load describes them.

use rusqlite::{Connection, named_params};

use crate::account::{Assignment, Permission, Person};

/// Makes a person stand as described; says whether that changed a row.
pub(super) fn load_person(
    connection: &Connection,
    person: &Person,
) -> rusqlite::Result<(i64, bool)> {
    let touched = connection
        .prepare_cached(
            "INSERT INTO people (uuid, first_name, last_name, email, phone)
             VALUES (:uuid, :first_name, :last_name, :email, :phone)
             ON CONFLICT (uuid) DO UPDATE SET
                 first_name = :first_name, last_name = :last_name, email = :email, phone = :phone
             WHERE (first_name, last_name, email, phone) IS NOT (:first_name, :last_name, :email, :phone)",
        )?
        .execute(named_params! {
            ":uuid": person.uuid,
            ":first_name": person.first_name,
            ":last_name": person.last_name,
            ":email": person.email,
            ":phone": person.phone,
        })?;
    let id = connection
        .prepare_cached("SELECT id FROM people WHERE uuid = :uuid")?
        .query_one(named_params! { ":uuid": person.uuid }, |row| row.get(0))?;
    Ok((id, touched > 0))
}

/// Removes a person that nobody is any more.
pub(super) fn remove_unused_person(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM people
             WHERE id = :id
                   AND NOT EXISTS (SELECT 1 FROM users WHERE person_id = :id)
                   AND NOT EXISTS (SELECT 1 FROM organizations WHERE account_manager_id = :id)",
        )?
        .execute(named_params! { ":id": id })?;
    Ok(())
}

/// Makes a user's permissions stand as described; says whether that changed any.
pub(super) fn assign_permissions(
    connection: &Connection,
    user_id: i64,
    assignments: &[Assignment],
) -> rusqlite::Result<bool> {
    let mut changed = false;
    let mut wanted = Vec::with_capacity(assignments.len());
    for Assignment {
        assigned,
        permission,
    } in assignments
    {
        let (id, touched) = load_permission(connection, permission)?;
        changed |= touched;
        wanted.push((id, *assigned));
    }
    if assigned(connection, user_id)? == wanted {
        return Ok(changed);
    }
    connection
        .prepare_cached("DELETE FROM permission_assignments WHERE user_id = :user_id")?
        .execute(named_params! { ":user_id": user_id })?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO permission_assignments (user_id, position, permission_id, assigned)
         VALUES (:user_id, :position, :permission_id, :assigned)",
    )?;
    for (position, (permission_id, assigned)) in (0_i64..).zip(wanted) {
        insert.execute(named_params! {
            ":user_id": user_id,
            ":position": position,
            ":permission_id": permission_id,
            ":assigned": assigned,
        })?;
    }
    Ok(true)
}

fn assigned(connection: &Connection, user_id: i64) -> rusqlite::Result<Vec<(i64, bool)>> {
    connection
        .prepare_cached(
            "SELECT permission_id, assigned FROM permission_assignments WHERE user_id = :user_id ORDER BY position",
        )?
        .query_map(named_params! { ":user_id": user_id }, |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

fn load_permission(
    connection: &Connection,
    permission: &Permission,
) -> rusqlite::Result<(i64, bool)> {
    let touched = connection
        .prepare_cached(
            "INSERT INTO permissions (uuid, name, display_name, description)
             VALUES (:uuid, :name, :display_name, :description)
             ON CONFLICT (uuid) DO UPDATE SET
                 name = :name, display_name = :display_name, description = :description
             WHERE (name, display_name, description) IS NOT (:name, :display_name, :description)",
        )?
        .execute(named_params! {
            ":uuid": permission.uuid,
            ":name": permission.name,
            ":display_name": permission.display_name,
            ":description": permission.description,
        })?;
    let id = connection
        .prepare_cached("SELECT id FROM permissions WHERE uuid = :uuid")?
        .query_one(named_params! { ":uuid": permission.uuid }, |row| row.get(0))?;
    Ok((id, touched > 0))
}
