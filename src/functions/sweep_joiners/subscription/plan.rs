//! Decides what to do about the subscription, given those that exist.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::{graph::subscriptions::Subscription, settings::PartnerTopic};

/// Graph takes an end at most 41,760 minutes ahead, by its own clock
/// (<https://learn.microsoft.com/graph/api/resources/subscription#subscription-lifetime>).
pub(super) const MAX_DURATION: TimeDelta = TimeDelta::minutes(41_760 - 10);
/// A subscription that ends this close to the maximum was renewed by a sweep that has just run.
const RECENTLY_RENEWED: TimeDelta = TimeDelta::hours(12);

/// Changes of this group are to be published to this topic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) group: Uuid,
    pub(super) topic: &'a PartnerTopic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action<'a> {
    /// It exists and was renewed recently.
    Nothing(&'a Subscription),
    /// It exists. A renewal also reauthorises it, which Graph requires now and then.
    Renew(&'a Subscription),
    /// It does not exist.
    Create,
    /// It leads to another topic. Graph allows one per app and group, so it has to be deleted first.
    Replace(&'a Subscription),
}

/// Decides about the app's own subscriptions, in any order. `found` may list some that have ended.
pub(super) fn plan<'a>(found: &'a [Subscription], wanted: Wanted<'_>, now: DateTime<Utc>) -> Action<'a> {
    let to_group = found.iter().filter(|s| s.is_to_updates_of(wanted.group) && s.expiration_date_time > now);
    let (ours, others): (Vec<_>, Vec<_>) = to_group
        .filter_map(|found| Some((found, leads_to(found, wanted.topic)?)))
        .partition(|(_, is_there)| *is_there);
    // If there are several, the others end by themselves.
    let last = |some: Vec<(&'a Subscription, bool)>| {
        some.into_iter().map(|(found, _)| found).max_by_key(|found| (found.expiration_date_time, &found.id))
    };
    match (last(ours), last(others)) {
        (Some(own), _) if own.expiration_date_time > now + MAX_DURATION - RECENTLY_RENEWED => {
            Action::Nothing(own)
        }
        (Some(own), _) => Action::Renew(own),
        (None, Some(other)) => Action::Replace(other),
        (None, None) => Action::Create,
    }
}

/// Whether it leads to `topic`, as far as the URL shows: Microsoft does not document that Graph returns it unchanged.
/// `None` for a webhook, which is not ours.
fn leads_to(found: &Subscription, topic: &PartnerTopic) -> Option<bool> {
    let url = found.notification_url.as_deref().unwrap_or_default();
    if url.to_ascii_lowercase().starts_with("http") {
        return None;
    }
    Some(PartnerTopic::parse(url).map_or(true, |other| topic.same_as(&other)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GROUP: Uuid = Uuid::from_u128(7);
    const TOPIC: &str = "EventGrid:?azuresubscriptionid=0f9d6c1e-5b1a-4a53-9a40-3f5f2f0f7b11\
                         &resourcegroup=firstpass&partnertopic=on-demand&location=westeurope";

    fn now() -> DateTime<Utc> {
        "2026-11-22T05:00:00Z".parse().unwrap()
    }

    /// The app's subscription to the group, with so many hours left.
    fn one(id: &str, hours: i64) -> Subscription {
        Subscription {
            id: id.to_owned(),
            resource: format!("groups/{GROUP}"),
            change_type: "updated".to_owned(),
            notification_url: Some(TOPIC.to_owned()),
            expiration_date_time: now() + TimeDelta::hours(hours),
        }
    }

    fn decide(found: &[Subscription]) -> Action<'_> {
        let topic = PartnerTopic::parse(TOPIC).unwrap();
        plan(found, Wanted { group: GROUP, topic: &topic }, now())
    }

    #[test]
    fn a_subscription_is_created_renewed_daily_and_not_renewed_twice() {
        assert_eq!(decide(&[]), Action::Create);
        let renewed = one("a", 695);
        assert_eq!(decide(std::slice::from_ref(&renewed)), Action::Nothing(&renewed));
        for hours in [1, 336, 672] {
            let yesterday = one("a", hours);
            assert_eq!(decide(std::slice::from_ref(&yesterday)), Action::Renew(&yesterday));
        }
        assert_eq!(decide(&[one("a", 0)]), Action::Create, "it has ended");
    }

    #[test]
    fn another_spelling_is_the_same_subscription() {
        let loud = Subscription {
            resource: format!("/Groups/{}", GROUP.to_string().to_uppercase()),
            change_type: "Updated".to_owned(),
            notification_url: Some(TOPIC.to_uppercase()),
            ..one("a", 9)
        };
        let unsaid = Subscription { notification_url: None, ..one("a", 9) };
        let short = Subscription { notification_url: Some("EventGrid:".to_owned()), ..one("a", 9) };
        for found in [loud, unsaid, short] {
            assert_eq!(decide(std::slice::from_ref(&found)), Action::Renew(&found));
        }
    }

    #[test]
    fn a_subscription_to_another_topic_is_replaced_and_an_unrelated_one_is_not() {
        let moved = Subscription { notification_url: Some(TOPIC.replace("west", "north")), ..one("a", 695) };
        assert_eq!(decide(std::slice::from_ref(&moved)), Action::Replace(&moved));
        let both = [moved, one("b", 5)];
        assert_eq!(decide(&both), Action::Renew(&both[1]), "the existing one comes first");
        for other in [
            Subscription { notification_url: Some("https://example.com".to_owned()), ..one("a", 5) },
            Subscription { resource: format!("groups/{}", Uuid::from_u128(8)), ..one("a", 5) },
            Subscription { resource: format!("groups/{GROUP}/members"), ..one("a", 5) },
            Subscription { change_type: "deleted".to_owned(), ..one("a", 5) },
        ] {
            assert_eq!(decide(&[other]), Action::Create);
        }
    }

    fn any_subscription() -> impl Strategy<Value = Subscription> {
        let urls = [TOPIC, "https://example.com", ""].map(|url| Some(url.to_owned()));
        let moved = Some(TOPIC.replace("west", "north"));
        let url = proptest::sample::select([urls.to_vec(), vec![moved, None]].concat());
        (-50..700_i64, 7..9_u128, url).prop_map(|(hours, group, notification_url)| Subscription {
            resource: format!("groups/{}", Uuid::from_u128(group)),
            notification_url,
            ..one("", hours)
        })
    }

    proptest! {
        /// In any list, in any order, the live subscription that ends last is kept, and none is created beside it.
        #[test]
        fn an_existing_subscription_is_kept(mut found in prop::collection::vec(any_subscription(), 0..6)) {
            found.iter_mut().enumerate().for_each(|(id, subscription)| subscription.id = id.to_string());
            let is_ours = |s: &&Subscription| {
                let url = s.notification_url.as_deref().unwrap_or_default();
                s.resource == format!("groups/{GROUP}") && s.expiration_date_time > now() && (url.is_empty() || url == TOPIC)
            };
            let longest = found.iter().filter(is_ours).map(|s| s.expiration_date_time).max();
            let end = |action: Action<'_>| match action {
                Action::Nothing(own) | Action::Renew(own) => Some(own.expiration_date_time),
                Action::Create | Action::Replace(_) => None,
            };
            prop_assert_eq!(end(decide(&found)), longest);
            if let Action::Nothing(own) = decide(&found) {
                prop_assert!(own.expiration_date_time > now() + TimeDelta::days(28));
            }
            let decided = format!("{:?}", decide(&found));
            found.reverse();
            prop_assert_eq!(decided, format!("{:?}", decide(&found)));
        }
    }
}
