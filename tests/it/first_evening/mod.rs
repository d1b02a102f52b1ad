//! What an admin wants on the first evening: to see who would get what before anything is made, and to stop everything.

mod forecast;
