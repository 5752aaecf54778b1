//! Flags about people: users, and account managers of organizations.

use clap::Args;

use crate::accounts::Person;

/// Who a user is.
#[derive(Args)]
#[group(skip)]
pub(super) struct PersonArgs {
    /// The first name
    #[arg(long, value_name = "TEXT")]
    first_name: Option<String>,
    /// The last name
    #[arg(long, value_name = "TEXT")]
    last_name: Option<String>,
    /// The email address; a new user has the username as this unless something else is given
    #[arg(long, value_name = "TEXT")]
    email: Option<String>,
    /// The phone number, in any notation
    #[arg(long, value_name = "TEXT")]
    phone: Option<String>,
}

/// Who looks after an organization.
#[derive(Args)]
#[group(skip)]
pub(super) struct ManagerArgs {
    /// The first name of the person who looks after it
    #[arg(long, value_name = "TEXT")]
    account_manager_first_name: Option<String>,
    /// The last name of that person
    #[arg(long, value_name = "TEXT")]
    account_manager_last_name: Option<String>,
    /// The email address of that person
    #[arg(long, value_name = "TEXT")]
    account_manager_email: Option<String>,
    /// The phone number of that person
    #[arg(long, value_name = "TEXT")]
    account_manager_phone: Option<String>,
}

/// What flags say of a person.
#[derive(Default)]
pub(super) struct PersonEdit {
    pub(super) given: Person,
    /// The columns that were given an empty value.
    pub(super) cleared: Vec<&'static str>,
}

impl PersonArgs {
    pub(super) fn edit(&self) -> PersonEdit {
        PersonEdit::of(
            [&self.first_name, &self.last_name, &self.email, &self.phone].map(Option::as_deref),
        )
    }
}

impl ManagerArgs {
    pub(super) fn edit(&self) -> PersonEdit {
        PersonEdit::of(
            [
                &self.account_manager_first_name,
                &self.account_manager_last_name,
                &self.account_manager_email,
                &self.account_manager_phone,
            ]
            .map(Option::as_deref),
        )
    }
}

impl PersonEdit {
    fn of([first_name, last_name, email, phone]: [Option<&str>; 4]) -> Self {
        let mut cleared = Vec::new();
        let mut given = |column, value: Option<&str>| {
            if value == Some("") {
                cleared.push(column);
            }
            let text = value.filter(|value| !value.is_empty());
            text.map(str::to_owned)
        };
        let given = Person {
            uuid: None,
            first_name: given("first_name", first_name),
            last_name: given("last_name", last_name),
            email: given("email", email),
            phone: given("phone", phone),
        };
        Self { given, cleared }
    }

    /// Whether anything is given that is to be written.
    pub(super) fn gives(&self) -> bool {
        self.given != Person::default()
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.gives() && self.cleared.is_empty()
    }
}
