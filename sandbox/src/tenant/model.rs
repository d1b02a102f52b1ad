//! The directory as plain data, and the changes that an admin can make.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use firstpass::code::Code;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use uuid::Uuid;

use super::{
    Application, ConditionalAccessPolicy, Contact, Device, Group, Membership, MethodPolicy, NullProperty,
    Pass, PassSpec, Permission, Person, Policy, RoleAssignment, SendDenial, SendLimits, ServicePrincipal,
    Subscription, Target, person::DOMAIN, roles,
};

/// The characters of a code. The symbols reveal code that does not escape them.
const LETTERS: &[u8] = b"ABCDEFGHJKMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789";
const SYMBOLS: &[u8] = b"+!&<>%#$*@?=^\"'";

/// A tenant: its directory, passes, roles and mailboxes, and settings of the simulation.
///
/// Collections are ordered, and ids and codes come from the seed: the same steps make the same tenant.
pub struct Tenant {
    seed: u64,
    rng: StdRng,
    pub(super) codes: BTreeSet<String>,
    /// The user principal names in use, in lower case.
    names: BTreeSet<String>,
    /// Accounts that were deleted and can be restored.
    pub deleted: BTreeMap<Uuid, Person>,
    /// User accounts.
    pub users: BTreeMap<Uuid, Person>,
    /// Organisational contacts.
    pub contacts: BTreeMap<Uuid, Contact>,
    /// Devices.
    pub devices: BTreeMap<Uuid, Device>,
    /// Service principals.
    pub service_principals: BTreeMap<Uuid, ServicePrincipal>,
    /// App registrations.
    pub applications: BTreeMap<Uuid, Application>,
    /// Groups.
    pub groups: BTreeMap<Uuid, Group>,
    /// The pass of each user, by user id.
    pub passes: BTreeMap<Uuid, Pass>,
    /// Active role assignments.
    pub roles: Vec<RoleAssignment>,
    /// Roles that can be activated in Privileged Identity Management.
    pub eligible: Vec<RoleAssignment>,
    /// The groups whose member each user can become in Privileged Identity Management.
    pub eligible_members: BTreeSet<(Uuid, Uuid)>,
    /// Who owns which group, application or service principal.
    pub owners: BTreeSet<(Uuid, Uuid)>,
    /// Whether Graph refuses to say what a user owns, as it is documented to.
    pub owners_refused: bool,
    /// The administrative units, with their members.
    pub units: BTreeMap<Uuid, BTreeSet<Uuid>>,
    /// Whether and where the app holds the role Authentication Administrator.
    pub app_role: Option<AppRole>,
    /// Subscriptions to change notifications.
    pub subscriptions: BTreeMap<Uuid, Subscription>,
    /// The domains, the default one first, and whether each is verified.
    pub domains: Vec<(String, bool)>,
    /// The Temporary Access Pass policy.
    pub policy: Policy,
    /// The policy of passkeys.
    pub passkeys: MethodPolicy,
    /// The policy of Microsoft Authenticator.
    pub authenticator: MethodPolicy,
    /// The Conditional Access policies.
    pub conditional_access: Vec<ConditionalAccessPolicy>,
    /// Users who have a mailbox.
    pub mailboxes: BTreeSet<Uuid>,
    /// Addresses that the mail service refuses.
    pub undeliverable: BTreeSet<String>,
    /// The permissions of the app in Graph.
    pub granted: BTreeSet<Permission>,
    /// Why Exchange denies the app to send mail, if it does.
    pub send_denied: Option<SendDenial>,
    /// How much each mailbox may send.
    pub send_limits: SendLimits,
    /// Whether the tenant has a licence for Privileged Identity Management.
    pub pim_licensed: bool,
    /// Whether the tenant has Entra ID P1.
    pub p1_licensed: bool,
    /// The latency of every request.
    pub latency: Duration,
    /// The maximum page size, below `$top`. Graph's own limit is 999.
    pub page_size_cap: usize,
    /// The property that is null in every answer.
    pub null_property: Option<NullProperty>,
    /// What each sample account is an example of.
    pub notes: BTreeMap<Uuid, &'static str>,
}

/// Where the app holds the role Authentication Administrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppRole {
    /// For the tenant.
    Tenant,
    /// For this administrative unit.
    Unit(Uuid),
}

impl Tenant {
    /// An empty tenant with Microsoft's default policy.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            rng: StdRng::seed_from_u64(seed),
            codes: BTreeSet::new(),
            names: BTreeSet::new(),
            deleted: BTreeMap::new(),
            users: BTreeMap::new(),
            contacts: BTreeMap::new(),
            devices: BTreeMap::new(),
            service_principals: BTreeMap::new(),
            applications: BTreeMap::new(),
            groups: BTreeMap::new(),
            passes: BTreeMap::new(),
            roles: Vec::new(),
            eligible: Vec::new(),
            eligible_members: BTreeSet::new(),
            owners: BTreeSet::new(),
            owners_refused: false,
            units: BTreeMap::new(),
            app_role: None,
            subscriptions: BTreeMap::new(),
            domains: vec![(DOMAIN.to_owned(), true)],
            policy: Policy::default(),
            passkeys: MethodPolicy::default(),
            authenticator: MethodPolicy::default(),
            conditional_access: Vec::new(),
            mailboxes: BTreeSet::new(),
            undeliverable: BTreeSet::new(),
            granted: Permission::ALWAYS_REQUIRED.into(),
            send_denied: None,
            send_limits: SendLimits::default(),
            pim_licensed: true,
            p1_licensed: true,
            latency: Duration::ZERO,
            page_size_cap: 999,
            null_property: None,
            notes: BTreeMap::new(),
        }
    }

    /// The seed of ids and codes.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Adds an account. A number is added to a user principal name that is in use.
    pub fn add(&mut self, mut person: Person) -> Uuid {
        if person.id.is_nil() {
            person.id = self.new_id();
        }
        let requested = person.user_principal_name.clone();
        let mut number = 2;
        while !self.names.insert(person.user_principal_name.to_lowercase()) {
            let (local, domain) = requested.rsplit_once('@').unwrap_or((&requested, DOMAIN));
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

    /// Adds a service principal.
    pub fn add_service_principal(&mut self, display_name: &str) -> Uuid {
        let id = self.new_id();
        self.service_principals.insert(id, ServicePrincipal { id, display_name: display_name.to_owned() });
        id
    }

    /// Adds an app registration.
    pub fn add_application(&mut self, display_name: &str) -> Uuid {
        let id = self.new_id();
        self.applications.insert(id, Application { id, display_name: display_name.to_owned() });
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

    /// Adds a user, group or device to a group. Does nothing for a dynamic group.
    pub fn add_member(&mut self, group: Uuid, member: Uuid) {
        if let Some(members) = self.assigned_members(group) {
            members.insert(member);
        }
    }

    /// Removes a member from a group. Does nothing for a dynamic group.
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

    /// Adds a Conditional Access policy.
    pub fn add_conditional_access(&mut self, mut policy: ConditionalAccessPolicy) {
        policy.id = self.new_id();
        self.conditional_access.push(policy);
    }

    /// Adds a subscription of any app.
    pub fn add_subscription(&mut self, mut subscription: Subscription) -> Uuid {
        if subscription.id.is_nil() {
            subscription.id = self.new_id();
        }
        let id = subscription.id;
        self.subscriptions.insert(id, subscription);
        id
    }

    /// The subscriptions that have not expired.
    pub fn live_subscriptions(&self, now: DateTime<Utc>) -> BTreeMap<Uuid, &Subscription> {
        let live = self.subscriptions.iter().filter(|(_, subscription)| subscription.expires > now);
        live.map(|(id, subscription)| (*id, subscription)).collect()
    }

    /// Assigns an active role, by template id.
    pub fn assign_role(&mut self, principal: Uuid, role: Uuid) {
        let id = self.new_id();
        self.roles.push(RoleAssignment { id, principal, role, unit: None });
    }

    /// Assigns an active role that is limited to an administrative unit.
    pub fn assign_role_in_unit(&mut self, principal: Uuid, role: Uuid) {
        let (id, unit) = (self.new_id(), Some(self.new_id()));
        self.roles.push(RoleAssignment { id, principal, role, unit });
    }

    /// Makes a user or group eligible for a role, by template id.
    pub fn make_eligible(&mut self, principal: Uuid, role: Uuid) {
        let id = self.new_id();
        self.eligible.push(RoleAssignment { id, principal, role, unit: None });
    }

    /// Makes a pass as the helpdesk does, replaces any other, and returns its id.
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

    /// Marks the pass as used in a sign-in at `now`.
    pub fn use_pass(&mut self, pass: Uuid, now: DateTime<Utc>) {
        if let Some(pass) = self.passes.values_mut().find(|held| held.id == pass) {
            pass.used = true;
            if let Some(person) = self.users.get_mut(&pass.user) {
                person.last_sign_in = Some(now);
            }
        }
    }

    /// Gives every account a time of creation: two weeks before `now`.
    pub(super) fn set_creation_times(&mut self, now: DateTime<Utc>) {
        for person in self.users.values_mut() {
            person.created.get_or_insert(now - TimeDelta::days(14));
        }
    }

    /// Deletes a user's pass.
    pub fn delete_pass(&mut self, user: Uuid) {
        self.passes.remove(&user);
    }

    /// Changes an account, if it exists.
    pub fn change(&mut self, user: Uuid, change: impl FnOnce(&mut Person)) {
        if let Some(person) = self.users.get_mut(&user) {
            change(person);
        }
    }

    /// Deletes an account and everything that refers to it.
    pub fn delete(&mut self, user: Uuid) {
        if let Some(person) = self.users.remove(&user) {
            self.names.remove(&person.user_principal_name.to_lowercase());
            self.deleted.insert(user, person);
        }
        self.passes.remove(&user);
        self.mailboxes.remove(&user);
        self.notes.remove(&user);
        self.roles.retain(|held| held.principal != user);
        self.eligible.retain(|held| held.principal != user);
        self.eligible_members.retain(|(member, _)| *member != user);
        self.owners.retain(|(owner, _)| *owner != user);
        self.units.values_mut().for_each(|members| {
            members.remove(&user);
        });
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

    /// The direct members of a group.
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

    /// The groups that a user is a direct or transitive member of.
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

    /// Whether the user is privileged: through a privileged role, active or eligible, direct or through a group, or
    /// as a member or owner of a role-assignable group.
    pub fn is_privileged(&self, user: Uuid, now: DateTime<Utc>) -> bool {
        let groups = self.groups_of(user, now);
        let is_theirs = |held: &&RoleAssignment| held.principal == user || groups.contains(&held.principal);
        self.roles.iter().chain(&self.eligible).filter(is_theirs).any(|held| roles::is_privileged(held.role))
            || self.has_role_group(user, now)
    }

    /// Whether the user is a member, direct or nested, or an owner of a role-assignable group.
    fn has_role_group(&self, user: Uuid, now: DateTime<Utc>) -> bool {
        let owned = self.owners.iter().filter(|(owner, _)| *owner == user).map(|(_, object)| *object);
        let mut groups = self.groups_of(user, now).into_iter().chain(owned);
        groups.any(|id| self.groups.get(&id).is_some_and(|group| group.assignable_to_role))
    }

    /// Whether the app's directory role lets it act on the authentication methods of this user.
    ///
    /// Microsoft's page on privileged roles lists on whom an Authentication Administrator may act: on nobody who holds
    /// another role than those of [`roles::is_under_authentication_administrator`], or is in a role-assignable group or owns one. That it
    /// does so for an application without the permission is assumed.
    pub(super) fn app_role_covers(&self, key: &str, now: DateTime<Utc>) -> bool {
        let (Some(role), Some(person)) = (&self.app_role, self.find_user(key)) else { return false };
        let user = person.id;
        let is_in_scope = match role {
            AppRole::Tenant => true,
            AppRole::Unit(unit) => self.units.get(unit).is_some_and(|members| members.contains(&user)),
        };
        let groups = self.groups_of(user, now);
        let is_theirs = |held: &&RoleAssignment| held.principal == user || groups.contains(&held.principal);
        let is_admin = self
            .roles
            .iter()
            .filter(is_theirs)
            .any(|held| !roles::is_under_authentication_administrator(held.role));
        is_in_scope && !is_admin && !self.has_role_group(user, now)
    }

    /// Whether the Temporary Access Pass policy includes this user.
    pub(super) fn policy_includes(&self, user: Uuid, now: DateTime<Utc>) -> bool {
        let groups = self.groups_of(user, now);
        let is_excluded = self.policy.exclude.iter().any(|group| groups.contains(group));
        !is_excluded
            && self.policy.include.iter().any(|target| match target {
                Target::AllUsers => true,
                Target::User(id) => *id == user,
                Target::Group(id) => groups.contains(id),
            })
    }

    pub(super) fn new_id(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(self.rng.random()).into_uuid()
    }

    /// A new code with at least one symbol, different from all earlier ones.
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
