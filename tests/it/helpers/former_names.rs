//! The former names of [`TestApp`] and its methods, for modules that still use them.

use chrono::TimeDelta;
use uuid::Uuid;

use super::{JobEnd, TestApp};

pub type World = TestApp;

impl TestApp {
    pub async fn deliver(&self, user: Uuid) -> JobEnd {
        self.run_job(user).await
    }

    pub fn later(&self, by: TimeDelta) {
        self.advance(by);
    }

    pub fn assert_newest_mail_opens(&self, user: Uuid) {
        self.assert_newest_mail_has_live_code(user);
    }
}
