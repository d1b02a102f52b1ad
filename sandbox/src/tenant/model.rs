//! The directory as plain data, and what an admin can do to it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{DateTime, Utc};
use firstpass::code::Code;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use uuid::Uuid;

use super::{
    Contact, Device, Group, Membership, Pass, PassSpec, Permission, Person, Policy, RoleAssignment,
    Subscription, Target, person::DOMAIN, roles,
};

/// What a code is made of. The symbols are there to trip up whoever forgets to escape a code.
const LETTERS: &[u8] = b"ABCDEFGHJKMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789";
const SYMBOLS: &[u8] = b"+!&<>%#$*@?=^\"'";

/// A tenant: users, groups, passes, roles, mailboxes, and how it behaves.
///
/// Collections are ordered, and ids and codes come from the seed, so that the same steps lead to the same tenant.
pub struct Tenant {
    seed: u64,
    rng: StdRng,
    pub(super) codes: BTreeSet<String>,
    /// User principal names that were given out, in lower case.
    names: BTreeSet<String>,
    /// User accounts.
    pub users: BTreeMap<Uuid, Person>,
    /// Organisational contacts.
    pub contacts: BTreeMap<Uuid, Contact>,
    /// Devices.
    pub devices: BTreeMap<Uuid, Device>,
    /// Groups.
    pub groups: BTreeMap<Uuid, Group>,
    /// The pass of each user who has one, by user id.
    pub passes: BTreeMap<Uuid, Pass>,
    /// Active role assignments.
    pub roles: Vec<RoleAssignment>,
    /// Roles that can be activated with Privileged Identity Management.
    pub eligible: Vec<RoleAssignment>,
    /// Subscriptions to change notifications.
    pub subscriptions: BTreeMap<Uuid, Subscription>,
    /// The Temporary Access Pass policy.
    pub policy: Policy,
    /// Users who have a mailbox.
    pub mailboxes: BTreeSet<Uuid>,
    /// Addresses that the mail service refuses.
    pub undeliverable: BTreeSet<String>,
    /// What the app may do in Graph.
    pub granted: BTreeSet<Permission>,
    /// Whether the app is kept from sending mail.
    pub send_denied: bool,
    /// Whether the tenant has a licence for Privileged Identity Management.
    pub pim_licensed: bool,
    /// How long every request takes.
    pub latency: Duration,
    /// The most items that a page holds, whatever `$top` says. Graph's own limit is 999.
    pub page_size_cap: usize,
    /// What makes an account worth showing.
    pub notes: BTreeMap<Uuid, &'static str>,
}

impl Tenant {
    /// An empty tenant with Microsoft's default policy.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            rng: StdRng::seed_from_u64(seed),
            codes: BTreeSet::new(),
            names: BTreeSet::new(),
            users: BTreeMap::new(),
            contacts: BTreeMap::new(),
            devices: BTreeMap::new(),
            groups: BTreeMap::new(),
            passes: BTreeMap::new(),
            roles: Vec::new(),
            eligible: Vec::new(),
            subscriptions: BTreeMap::new(),
            policy: Policy::default(),
            mailboxes: BTreeSet::new(),
            undeliverable: BTreeSet::new(),
            granted: Permission::ASKED_FOR.into(),
            send_denied: false,
            pim_licensed: true,
            latency: Duration::ZERO,
            page_size_cap: 999,
            notes: BTreeMap::new(),
        }
    }

    /// The seed that ids and codes come from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Adds an account. A user principal name that is taken gets a number.
    pub fn add(&mut self, mut person: Person) -> Uuid {
        if person.id.is_nil() {
            person.id = self.new_id();
        }
        let wanted = person.user_principal_name.clone();
        let mut number = 2;
        while !self.names.insert(person.user_principal_name.to_lowercase()) {
            let (local, domain) = wanted.rsplit_once('@').unwrap_or((&wanted, DOMAIN));
            person = person.renamed(&format!("{local}{number}@{domain}"));
            number += 1;
        }
        if !person.note.is_empty() {
            self.notes.insert(person.id, person.note);
        }
        let id = person.id;
        self.users.insert(id, person);
        id
    }

    /// Adds an account with a mailbox to send from.
    pub fn add_mailbox(&mut self, person: Person) -> Uuid {
        let id = self.add(person);
        self.mailboxes.insert(id);
        id
    }

    /// Adds a contact.
    pub fn add_contact(&mut self, mut contact: Contact) -> Uuid {
        if contact.id.is_nil() {
            contact.id = self.new_id();
        }
        let id = contact.id;
        self.contacts.insert(id, contact);
        id
    }

    /// Adds a device.
    pub fn add_device(&mut self, display_name: &str) -> Uuid {
        let id = self.new_id();
        self.devices.insert(id, Device { id, display_name: display_name.to_owned() });
        id
    }

    /// Adds a group.
    pub fn add_group(&mut self, mut group: Group) -> Uuid {
        if group.id.is_nil() {
            group.id = self.new_id();
        }
        let id = group.id;
        self.groups.insert(id, group);
        id
    }

    /// Puts a user, group or device into a group. A dynamic group takes nobody.
    pub fn add_member(&mut self, group: Uuid, member: Uuid) {
        if let Some(members) = self.assigned_members(group) {
            members.insert(member);
        }
    }

    /// Takes a member out of a group.
    pub fn remove_member(&mut self, group: Uuid, member: Uuid) {
        if let Some(members) = self.assigned_members(group) {
            members.remove(&member);
        }
    }

    fn assigned_members(&mut self, group: Uuid) -> Option<&mut BTreeSet<Uuid>> {
        match &mut self.groups.get_mut(&group)?.membership {
            Membership::Assigned(members) => Some(members),
            Membership::JoinersWithin(_) => None,
        }
    }

    /// Adds a subscription, whoever's it is.
    pub fn add_subscription(&mut self, mut subscription: Subscription) -> Uuid {
        if subscription.id.is_nil() {
            subscription.id = self.new_id();
        }
        let id = subscription.id;
        self.subscriptions.insert(id, subscription);
        id
    }

    /// Those that have not ended.
    pub fn live_subscriptions(&self, now: DateTime<Utc>) -> BTreeMap<Uuid, &Subscription> {
        let live = self.subscriptions.iter().filter(|(_, subscription)| subscription.expires > now);
        live.map(|(id, subscription)| (*id, subscription)).collect()
    }

    /// Gives a user or group an active role, by template id.
    pub fn assign_role(&mut self, principal: Uuid, role: Uuid) {
        let id = self.new_id();
        self.roles.push(RoleAssignment { id, principal, role });
    }

    /// Makes a user or group eligible for a role, by template id.
    pub fn make_eligible(&mut self, principal: Uuid, role: Uuid) {
        let id = self.new_id();
        self.eligible.push(RoleAssignment { id, principal, role });
    }

    /// Makes a pass as the helpdesk would, in place of any other, and returns its id.
    pub fn add_pass(&mut self, user: Uuid, spec: PassSpec) -> Uuid {
        let id = self.new_id();
        let pass = Pass {
            id,
            user,
            code: self.new_code(),
            created_at: spec.created_at,
            opens_at: spec.opens_at,
            lifetime_minutes: spec.lifetime_minutes,
            one_time: spec.one_time,
            used: spec.used,
            disabled_by_policy: !self.policy_includes(user, spec.created_at),
        };
        self.passes.insert(user, pass);
        id
    }

    /// Somebody signs in with that pass.
    pub fn use_pass(&mut self, pass: Uuid) {
        if let Some(pass) = self.passes.values_mut().find(|held| held.id == pass) {
            pass.used = true;
        }
    }

    /// Deletes a user's pass.
    pub fn delete_pass(&mut self, user: Uuid) {
        self.passes.remove(&user);
    }

    /// Changes an account, if it is there.
    pub fn change(&mut self, user: Uuid, change: impl FnOnce(&mut Person)) {
        if let Some(person) = self.users.get_mut(&user) {
            change(person);
        }
    }

    /// Deletes an account with all that hangs on it.
    pub fn delete(&mut self, user: Uuid) {
        if let Some(person) = self.users.remove(&user) {
            self.names.remove(&person.user_principal_name.to_lowercase());
        }
        self.passes.remove(&user);
        self.mailboxes.remove(&user);
        self.notes.remove(&user);
        self.roles.retain(|held| held.principal != user);
        self.eligible.retain(|held| held.principal != user);
        let groups: Vec<_> = self.groups.keys().copied().collect();
        groups.into_iter().for_each(|group| self.remove_member(group, user));
        for person in self.users.values_mut().filter(|person| person.manager == Some(user)) {
            person.manager = None;
        }
    }

    /// The account with this object id or user principal name.
    pub fn find_user(&self, key: &str) -> Option<&Person> {
        match key.parse() {
            Ok(id) => self.users.get(&id),
            Err(_) => self.users.values().find(|person| person.user_principal_name.eq_ignore_ascii_case(key)),
        }
    }

    /// The group with this name.
    pub fn find_group(&self, display_name: &str) -> Option<&Group> {
        self.groups.values().find(|group| group.display_name == display_name)
    }

    /// The direct members of a group: users, groups and devices.
    pub fn members(&self, group: Uuid, now: DateTime<Utc>) -> BTreeSet<Uuid> {
        match self.groups.get(&group).map(|group| &group.membership) {
            None => BTreeSet::new(),
            Some(Membership::Assigned(members)) => members.clone(),
            Some(rule) => self
                .users
                .values()
                .filter(|person| rule.rule_matches(person, now))
                .map(|person| person.id)
                .collect(),
        }
    }

    /// The groups that a user is in, directly or through other groups.
    pub fn groups_of(&self, user: Uuid, now: DateTime<Utc>) -> BTreeSet<Uuid> {
        let mut found = BTreeSet::new();
        let mut next = vec![user];
        while let Some(member) = next.pop() {
            for group in self.groups.values().filter(|group| self.has_member(group, member, now)) {
                if found.insert(group.id) {
                    next.push(group.id);
                }
            }
        }
        found
    }

    fn has_member(&self, group: &Group, member: Uuid, now: DateTime<Utc>) -> bool {
        match &group.membership {
            Membership::Assigned(members) => members.contains(&member),
            rule => self.users.get(&member).is_some_and(|person| rule.rule_matches(person, now)),
        }
    }

    /// Whether Entra would keep a helpdesk away from this user: a privileged role, held or eligible for, directly or
    /// through a group, or membership of a role-assignable group.
    pub fn is_privileged(&self, user: Uuid, now: DateTime<Utc>) -> bool {
        let groups = self.groups_of(user, now);
        let is_theirs = |held: &&RoleAssignment| held.principal == user || groups.contains(&held.principal);
        self.roles.iter().chain(&self.eligible).filter(is_theirs).any(|held| roles::is_privileged(held.role))
            || groups.iter().filter_map(|id| self.groups.get(id)).any(|group| group.assignable_to_role)
    }

    /// Whether the policy lets this user sign in with a pass.
    pub(super) fn policy_includes(&self, user: Uuid, now: DateTime<Utc>) -> bool {
        self.policy.include.iter().any(|target| match target {
            Target::AllUsers => true,
            Target::User(id) => *id == user,
            Target::Group(id) => self.groups_of(user, now).contains(id),
        })
    }

    pub(super) fn new_id(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(self.rng.random()).into_uuid()
    }

    /// A code unlike any before it, with at least one symbol.
    fn new_code(&mut self) -> Code {
        loop {
            let symbol_at = self.rng.random_range(0..self.policy.default_length.max(1));
            let code: String = (0..self.policy.default_length.max(1))
                .map(|at| if at == symbol_at { SYMBOLS } else { LETTERS })
                .map(|set| char::from(set[self.rng.random_range(0..set.len())]))
                .collect();
            if self.codes.insert(code.clone()) {
                return Code::new(code);
            }
        }
    }
}
