//! The worker as a process without a time limit: it polls its queues until it is told to end.
//!
//! A task is hidden from others for as long as it lives, and is handed back at once if it does not
//! come to its end here. Nothing that goes wrong with a task, a queue or the metadata ends the process;
//! it says so, in its log and at its health endpoint, and goes on trying.

mod budget;
mod drain;
mod flights;
mod health;
mod instance;
mod poll;
mod upkeep;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex};

use tranship_adapters::clock::SystemClock;
use tranship_core::object::Millis;
use tranship_core::ports::Clock as _;
use tranship_core::progress::ProgressReading;
use tranship_stack::settings::{DESTINATION_ENDPOINT, FleetSettings, SOURCE_ENDPOINT};
use tranship_stack::{Failure, Settings, Surroundings};

use self::flights::Flights;
use self::instance::Instance;

/// The settings are wrong, or cannot be followed here.
const EXIT_SETTINGS: u8 = 2;

/// What the parts of the process share.
struct Fleet {
    surroundings: Surroundings,
    settings: FleetSettings,
    name: String,
    /// Streams at most, as memory and open files allow.
    streams_max: usize,
    flights: Flights,
    /// Nothing new is taken: the process is to end.
    is_draining: AtomicBool,
    /// Nothing new is taken: the breaker is open.
    is_halted: AtomicBool,
    /// Nothing new is taken: without the ledger each task would only cost its message a delivery.
    is_cut_off: AtomicBool,
    /// The ledger was asked, and the breaker with it: nothing is taken before.
    has_looked: AtomicBool,
    began: Millis,
    /// When each queue last answered; 0 before the first time.
    answered_ms: Vec<AtomicU64>,
    tasks: AtomicUsize,
    counts: Counts,
    /// What was told of last.
    told: Mutex<ProgressReading>,
}

/// Of the tasks that ended since they were told of last.
#[derive(Default)]
struct Counts {
    again: AtomicU64,
    unreadable: AtomicU64,
    took_ms: AtomicU64,
}

impl Fleet {
    fn now(&self) -> Millis {
        self.surroundings.stage.clock.now()
    }

    fn moved(&self) -> ProgressReading {
        self.surroundings.stage.progress.read()
    }
}

/// Runs until the process is told to end.
pub(crate) async fn run(variable: impl Fn(&str) -> Option<String>) -> ExitCode {
    let instance = Instance::find(&variable).await;
    let fleet = match begin(&variable, instance.as_ref()).await {
        Ok(fleet) => Arc::new(fleet),
        Err(failure) => return refuse(&variable, &failure.message),
    };
    let health = match tranship_stack::health::listen(fleet.settings.health).await {
        Ok(listener) => {
            let fleet = Arc::clone(&fleet);
            tokio::spawn(tranship_stack::health::serve(listener, move || health::of(&fleet)))
        }
        Err(error) => {
            let address = fleet.settings.health;
            let why = format!("TRANSHIP_FLEET_HEALTH: {address} cannot be used: {error}");
            return refuse(&variable, &why);
        }
    };
    if instance.is_none() {
        tracing::warn!(
            "no instance metadata: outside EC2 that is as it should be; on an instance its end will come without notice, so switch its metadata service on"
        );
    }
    tracing::info!(
        instance = fleet.name,
        streams = fleet.streams_max,
        on_ec2 = instance.is_some(),
        "polling"
    );
    let upkeep = tokio::spawn(upkeep::run(Arc::clone(&fleet)));
    let work = tokio::spawn(poll::run(Arc::clone(&fleet)));
    let why = drain::asked(instance, &variable).await;
    tracing::info!(instance = fleet.name, why, "draining: nothing new is taken");
    drain::drain(&fleet, work).await;
    upkeep.abort();
    upkeep::tell(&fleet);
    health.abort();
    ExitCode::SUCCESS
}

/// The alarm hears of it as of any other trouble, if the settings say whose worker it is.
fn refuse(variable: &impl Fn(&str) -> Option<String>, why: &str) -> ExitCode {
    tracing::error!(why, "this worker cannot begin");
    if let Some(stack) = variable("TRANSHIP_STACK") {
        upkeep::tell_trouble(&stack, SystemClock::new().now());
    }
    ExitCode::from(EXIT_SETTINGS)
}

async fn begin(
    variable: &impl Fn(&str) -> Option<String>,
    instance: Option<&Instance>,
) -> Result<Fleet, Failure> {
    let read = Settings::read(variable);
    let level = read.as_ref().map_or(tracing::Level::INFO, |settings| settings.own.log);
    tranship_stack::log::begin(level);
    let (mut settings, fleet) = (read?, FleetSettings::read(variable)?);
    settings.source.reach(SOURCE_ENDPOINT, fleet.source_endpoint.clone())?;
    settings.destination.reach(DESTINATION_ENDPOINT, fleet.destination_endpoint.clone())?;
    if settings.own.large.is_none() && fleet.queues == [tranship_core::ports::Queue::Large] {
        return Err(Failure::new(
            tranship_stack::Name::BadSettings,
            "TRANSHIP_LARGE_QUEUE_URL: it is not set, and there is no other queue to poll; deploy the stack with a fleet, or set TRANSHIP_FLEET_QUEUES",
        ));
    }
    let streams_max = fleet.streams.unwrap_or_else(budget::streams);
    settings.policy.limits.streams_max = streams_max;
    settings.spreads = true;
    settings.hidden_seconds = Some(fleet.hidden_seconds);
    let name = fleet.name.clone().or_else(|| instance.map(|instance| instance.id.clone()));
    let surroundings = Box::pin(Surroundings::build(settings)).await?;
    Ok(Fleet {
        began: surroundings.stage.clock.now(),
        surroundings,
        answered_ms: fleet.queues.iter().map(|_| AtomicU64::new(0)).collect(),
        settings: fleet,
        name: name.unwrap_or_else(budget::host_name),
        streams_max,
        flights: Flights::default(),
        is_draining: AtomicBool::new(false),
        is_halted: AtomicBool::new(false),
        is_cut_off: AtomicBool::new(false),
        has_looked: AtomicBool::new(false),
        tasks: AtomicUsize::new(0),
        counts: Counts::default(),
        told: Mutex::default(),
    })
}
