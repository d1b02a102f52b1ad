//! What the product itself uses: processor time and memory, without those of the simulated tenant, store and host, which run
//! on the same thread.

use std::{
    convert::Infallible,
    pin::pin,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use axum::{Router, body::Body, extract::Request, response::Response};
use tower::{ServiceExt, service_fn};

/// Counts what runs in [`Meter::product`], without what runs in [`outside`] of it. Clones share the counts.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Mutex<Usage>>);

/// What the product has used since the start or the last [`Meter::reset`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    cpu_nanos: i64,
    /// Allocations on the heap.
    pub allocations: u64,
    held_bytes: i64,
    /// The most memory that was held at a time, in bytes.
    pub peak_bytes: i64,
}

impl Usage {
    /// Processor time.
    pub fn cpu(&self) -> Duration {
        Duration::from_nanos(self.cpu_nanos.try_into().unwrap_or(0))
    }
}

thread_local! {
    /// The time that this thread has spent outside of the product.
    static OUTSIDE: std::cell::Cell<i64> = const { std::cell::Cell::new(0) };
}

impl Meter {
    /// The router, whose work is counted.
    pub fn product(&self, router: Router) -> Router {
        let meter = self.clone();
        Router::new().fallback_service(service_fn(move |request: Request<Body>| {
            let (meter, router) = (meter.clone(), router.clone());
            async move { Ok::<Response, Infallible>(meter.count(router.oneshot(request)).await.unwrap()) }
        }))
    }

    /// Starts to count anew.
    pub fn reset(&self) {
        *self.0.lock().unwrap() = Usage::default();
    }

    /// The counts.
    pub fn usage(&self) -> Usage {
        *self.0.lock().unwrap()
    }

    async fn count<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        std::future::poll_fn(|context| {
            let mut polled = Poll::Pending;
            let (start, outside) = (thread_time(), OUTSIDE.get());
            let memory = allocation_counter::measure(|| polled = work.as_mut().poll(context));
            let spent = thread_time() - start - (OUTSIDE.get() - outside);
            let mut usage = self.0.lock().unwrap();
            usage.cpu_nanos += spent;
            usage.allocations += memory.count_total;
            let most = i64::try_from(memory.bytes_max).unwrap_or(i64::MAX);
            usage.peak_bytes = usage.peak_bytes.max(usage.held_bytes + most);
            usage.held_bytes += memory.bytes_current;
            polled
        })
        .await
    }
}

/// Work of a simulated service that the product calls: it is not counted.
pub async fn outside<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    std::future::poll_fn(|context| {
        let mut polled = Poll::Pending;
        let start = thread_time();
        allocation_counter::opt_out(|| polled = work.as_mut().poll(context));
        OUTSIDE.set(OUTSIDE.get() + thread_time() - start);
        polled
    })
    .await
}

/// The processor time of this thread, in nanoseconds.
#[cfg(unix)]
fn thread_time() -> i64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

#[cfg(not(unix))]
fn thread_time() -> i64 {
    0
}
