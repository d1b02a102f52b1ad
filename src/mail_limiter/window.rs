//! The rule of a limiter: pure, over what was sent and what may be sent.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use super::Content;

/// The time that the limit is about.
const MINUTE: Duration = Duration::from_secs(60);
/// How much later a mail without a code counts as having come than it did: so it lets others pass, and not for ever.
const NOTE_LATER: Duration = Duration::from_secs(20);

/// Which place in the queue a mail has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    /// Before all others: somebody who has a permit needs another mail, and a pass may wait for it.
    First,
    /// By the time.
    ByTime,
}

/// A place in the queue: by the time that it counts as having come.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket {
    order: Order,
    at: Instant,
    number: u64,
    content: Content,
    /// How many mails it is for, as far as the limit allows.
    mails: usize,
}

impl Ticket {
    /// Whether a pass is made when the permit is there.
    fn makes_pass(&self) -> bool {
        self.content == Content::Code && self.order == Order::ByTime
    }
}

/// What a share has sent, and may send. The limit holds for any period, because a mail counts from its permit until a period after
/// its answer.
#[derive(Debug)]
pub(super) struct Window {
    limit: usize,
    period: Duration,
    /// When mails were answered, the oldest first.
    sent: VecDeque<Instant>,
    /// How many mails of permits are not sent yet.
    reserved: usize,
    /// How many permits are for mails with a code: so many passes may wait for their mail.
    codes: usize,
    most_codes: usize,
    closed_until: Option<Instant>,
    waiting: BTreeSet<Ticket>,
    last: u64,
}

impl Window {
    /// The window for `tenths` of `per_minute` mails a minute, sent `at_once` at a time. Less than one mail a minute is one in a
    /// longer time.
    pub(super) fn new(per_minute: u32, tenths: u32, at_once: usize) -> Self {
        let share = per_minute.saturating_mul(tenths).max(1);
        let limit = usize::try_from(share / 10).unwrap_or(usize::MAX).max(1);
        Self {
            limit,
            period: if share < 10 { MINUTE * 10 / share } else { MINUTE },
            sent: VecDeque::new(),
            reserved: 0,
            codes: 0,
            most_codes: at_once,
            closed_until: None,
            waiting: BTreeSet::new(),
            last: 0,
        }
    }

    /// A place in the queue.
    pub(super) fn queue(&mut self, content: Content, mails: usize, order: Order, now: Instant) -> Ticket {
        self.last += 1;
        let later = if content == Content::Note { NOTE_LATER } else { Duration::ZERO };
        let mails = mails.min(self.limit);
        let ticket = Ticket { order, at: now + later, number: self.last, content, mails };
        self.waiting.insert(ticket.clone());
        ticket
    }

    /// Leaves the queue.
    pub(super) fn leave(&mut self, ticket: &Ticket) {
        self.waiting.remove(ticket);
    }

    /// Takes the permit. Returns for how many mails it is: fewer than were asked for if the limit is less.
    ///
    /// # Errors
    /// When it may be tried again; `None`: when something has changed.
    pub(super) fn take(&mut self, ticket: &Ticket, now: Instant) -> Result<usize, Option<Instant>> {
        if let Some(until) = self.closed_until(now) {
            return Err(Some(until));
        }
        // Whoever would make a pass that cannot be sent soon lets others go first.
        let is_full = self.codes >= self.most_codes;
        let may_go = |ticket: &Ticket| !(is_full && ticket.makes_pass());
        if !may_go(ticket) || self.waiting.iter().find(|ticket| may_go(ticket)) != Some(ticket) {
            return Err(None);
        }
        while self.sent.front().is_some_and(|at| now - *at >= self.period) {
            self.sent.pop_front();
        }
        let counted = self.reserved + self.sent.len();
        if counted + ticket.mails > self.limit {
            // Until so many of them count no more.
            let over = (counted + ticket.mails - self.limit).min(self.sent.len());
            return Err(over.checked_sub(1).and_then(|last| self.sent.get(last)).map(|at| *at + self.period));
        }
        self.reserved += ticket.mails;
        self.codes += usize::from(ticket.makes_pass());
        Ok(ticket.mails)
    }

    /// Until when nothing is sent.
    pub(super) fn closed_until(&self, now: Instant) -> Option<Instant> {
        self.closed_until.filter(|until| *until > now)
    }

    /// A permit has sent its mail.
    pub(super) fn sent(&mut self, now: Instant) {
        self.reserved -= 1;
        self.sent.push_back(now);
    }

    /// A permit ends, with those of its mails that were not sent.
    pub(super) fn give_back(&mut self, has_code: bool, reserved: usize) {
        self.codes -= usize::from(has_code);
        self.reserved -= reserved;
    }

    /// The mailbox is busy until then.
    pub(super) fn close(&mut self, until: Instant) {
        self.closed_until = self.closed_until.max(Some(until));
        self.most_codes = 1;
    }

    /// The mailbox has accepted a mail: one more pass may wait for its own.
    pub(super) fn accepted(&mut self) {
        self.most_codes = self.most_codes.saturating_add(1).min(self.limit.max(1));
    }

    /// Whether nothing of this window is worth remembering.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        let is_quiet = self.sent.back().is_none_or(|at| now - *at >= self.period);
        is_quiet
            && self.reserved == 0
            && self.codes == 0
            && self.waiting.is_empty()
            && self.closed_until(now).is_none()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CODE: (Content, Order) = (Content::Code, Order::ByTime);
    const NOTE: (Content, Order) = (Content::Note, Order::ByTime);

    /// Takes a permit if it is there.
    fn take(window: &mut Window, (content, order): (Content, Order), now: Instant) -> bool {
        let ticket = window.queue(content, 1, order, now);
        let is_taken = window.take(&ticket, now).is_ok();
        window.leave(&ticket);
        is_taken
    }

    #[tokio::test(start_paused = true)]
    async fn the_shares_are_the_limit_together() {
        for per_minute in [1, 2, 5, 9, 10, 29, 30, 100, 100_000] {
            let shares = [8, 1, 1].map(|tenths| Window::new(per_minute, tenths, 3));
            let rate = |window: &Window| window.limit as f64 * 60.0 / window.period.as_secs_f64();
            let total: f64 = shares.iter().map(rate).sum();
            assert!(total <= f64::from(per_minute) + 1e-6, "{per_minute}: {total}");
            assert!(shares.iter().all(|window| window.limit >= 1));
        }
        let [jobs, calls, sweeps] = [8, 1, 1].map(|tenths| Window::new(30, tenths, 3).limit);
        assert_eq!((jobs, calls, sweeps), (24, 3, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_permit_that_is_not_used_counts_for_nothing() {
        let (mut window, now) = (Window::new(10, 1, 9), Instant::now());
        assert!(take(&mut window, CODE, now));
        assert!(!take(&mut window, CODE, now));
        window.give_back(true, 1);
        assert!(take(&mut window, CODE, now));
        window.sent(now);
        window.give_back(true, 0);
        assert!(!take(&mut window, NOTE, now + MINUTE - Duration::from_millis(1)));
        assert!(take(&mut window, NOTE, now + MINUTE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_note_lets_codes_pass_for_a_while_and_not_for_ever() {
        let (mut window, now) = (Window::new(30, 10, 9), Instant::now());
        let note = window.queue(Content::Note, 1, Order::ByTime, now);
        let soon = window.queue(Content::Code, 1, Order::ByTime, now + NOTE_LATER / 2);
        let late = window.queue(Content::Code, 1, Order::ByTime, now + NOTE_LATER * 2);
        let next = window.queue(Content::Note, 1, Order::First, now + NOTE_LATER * 2);
        for ticket in [&next, &soon, &note, &late] {
            assert_eq!(window.waiting.first(), Some(ticket));
            assert_eq!(window.take(ticket, now), Ok(1));
            window.leave(ticket);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_refusal_one_pass_waits_at_a_time() {
        let (mut window, now) = (Window::new(30, 10, 3), Instant::now());
        assert!((0..3).all(|_| take(&mut window, CODE, now)));
        assert!(!take(&mut window, CODE, now), "three are sent at a time, so no fourth pass is made");
        assert!(take(&mut window, NOTE, now), "a mail without a code keeps no pass waiting");
        window.close(now + MINUTE);
        assert!(!take(&mut window, NOTE, now));
        let now = now + MINUTE;
        (0..3).for_each(|_| window.give_back(true, 1));
        assert!(take(&mut window, CODE, now));
        assert!(!take(&mut window, CODE, now));
        window.accepted();
        assert!(take(&mut window, CODE, now));
    }

    #[tokio::test(start_paused = true)]
    async fn several_mails_are_reserved_together_or_not_at_all() {
        let (mut window, now) = (Window::new(50, 1, 9), Instant::now());
        let all = window.queue(Content::Code, 9, Order::ByTime, now);
        assert_eq!(window.take(&all, now), Ok(5), "no more than the limit");
        window.leave(&all);
        for second in 0..4 {
            window.sent(now + Duration::from_secs(second));
        }
        let three = window.queue(Content::Note, 3, Order::ByTime, now);
        let at = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(window.take(&three, at(4)), Err(Some(at(62))), "when three of the four are a minute ago");
        assert_eq!(window.take(&three, at(62)), Ok(3));
    }

    proptest! {
        /// Whatever is sent, refused or given up, and however long an answer takes: in no period more mails begin than the limit
        /// allows, by any clock between request and answer.
        #[test]
        fn no_period_has_more_than_the_limit(
            per_minute in 1u32..40,
            steps in proptest::collection::vec((0u8..6, 0u64..30), 1..200),
        ) {
            let mut window = Window::new(per_minute, 8, 3);
            let start = Instant::now();
            let (mut now, mut held, mut accepted) = (start, Vec::new(), Vec::new());
            for (step, seconds) in steps {
                now += Duration::from_secs(seconds);
                match step {
                    0..=2 => if take(&mut window, CODE, now) { held.push(now) },
                    // Exchange counted it at any time since the permit.
                    3 | 4 => if let Some(since) = held.pop() {
                        window.sent(now);
                        window.give_back(true, 0);
                        window.accepted();
                        accepted.push(since + (now - since) * u32::from(step == 4));
                    },
                    _ => if held.pop().is_some() { window.give_back(true, 1) },
                }
                let (limit, period) = (window.limit, window.period);
                let within = |end: Instant| {
                    accepted.iter().filter(|at| **at <= end && end - **at < period).count()
                };
                prop_assert!(accepted.iter().all(|end| within(*end) <= limit));
            }
        }
    }
}
