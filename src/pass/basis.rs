//! What a joiner's mail rests on, as the tenant has it now.

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::{
    address::Address,
    graph::{Manager, TenantSnapshot, users::Candidate},
    hash::sha256,
    ledger::Basis,
    settings::PassSettings,
    zone::{JoinerZone, ZoneRule},
};

/// What a mail to this user rests on, which would go to the address with the fingerprint `address`.
pub(super) fn read(snapshot: &TenantSnapshot, address: Option<String>, settings: &PassSettings) -> Basis {
    let user = snapshot.user.as_candidate();
    let manager = snapshot.manager.as_ref();
    Basis {
        address,
        leave_date: snapshot.leave_date.as_ref().ok().map(|at| of_leave_date(user.id, *at)),
        manager: manager.and_then(|manager| of_manager(user.id, manager)),
        ..of_listing(&user, settings)
    }
}

/// What a listing shows of it, without the addresses and the manager.
pub(crate) fn of_listing(user: &Candidate, settings: &PassSettings) -> Basis {
    let (id, account) = (user.id, &user.account);
    let name = user.user_principal_name.as_deref().unwrap_or_default().to_lowercase();
    Basis {
        sign_in_name: hash(id, &json!(name)),
        hire_date: hash(id, &json!(account.employee_hire_date)),
        place: place(user, settings),
        zone: zone(settings.zone(account.place())),
        ..Basis::new()
    }
}

/// Identifies the place: the address, then the attributes that ZONES reads, with their names. A change of ZONES is no change of the
/// place.
fn place(user: &Candidate, settings: &PassSettings) -> String {
    let account = &user.account;
    let mut names: Vec<String> = settings.zones.iter().filter_map(ZoneRule::attribute).collect();
    names.sort_unstable();
    names.dedup();
    let attributes: Vec<_> =
        names.iter().map(|name| account.on_premises_extension_attributes.get(name)).collect();
    let address = json!([account.usage_location, account.state, account.city, account.office_location]);
    let [address, attributes] = [address, json!(attributes)].map(|values| hash(user.id, &values));
    format!("{address} {} {attributes}", names.join(","))
}

/// Identifies the mailbox of the manager of `user`; `None` if they have none.
pub(crate) fn of_manager(user: Uuid, manager: &Manager) -> Option<String> {
    Some(of_mailbox(user, &Address::read(manager.mail.as_deref()?).ok()?))
}

/// Identifies a mailbox, as that of the manager of `user`.
pub(super) fn of_mailbox(user: Uuid, address: &Address) -> String {
    hash(user, &json!(address.to_string().to_lowercase()))
}

/// Identifies the last day of `user`, also if there is none.
pub(crate) fn of_leave_date(user: Uuid, leave_date: Option<DateTime<Utc>>) -> String {
    hash(user, &json!(leave_date))
}

fn zone(JoinerZone { zone, country, .. }: JoinerZone) -> String {
    match country {
        Some(country) => format!("{zone}, one of {country}"),
        None => zone.to_string(),
    }
}

/// The hash of a value of `user`: short, because every listing of the ledger has it.
fn hash(user: Uuid, value: &serde_json::Value) -> String {
    sha256(&format!("{user} {value}"))[..16].to_owned()
}
