//! What a bucket notifies whom of, with ours added or removed and everything else as it was.
//!
//! S3 keeps all of a bucket's notifications in one document that is only ever replaced as a whole.
//! Ours is the one entry under our name that leads to a queue of our account and region.

use aws_sdk_s3::types::{
    Event, FilterRule, FilterRuleName, NotificationConfiguration, NotificationConfigurationFilter,
    QueueConfiguration, S3KeyFilter,
};

/// What S3 says to notifications that meet.
const OVERLAP: &str =
    "Configurations overlap. Configurations on the same bucket cannot share a common event type.";

/// The entry that is to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) id: String,
    pub(crate) queue: QueueArn,
    pub(crate) prefix: String,
    /// None at all: the entry is not to be there.
    pub(crate) events: Vec<&'static str>,
}

/// `arn:PARTITION:sqs:REGION:ACCOUNT:NAME`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueueArn(String);

impl QueueArn {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split(':').collect();
        let [arn, partition, service, region, account, name] = fields.as_slice() else {
            return None;
        };
        let is_queue = *arn == "arn" && *service == "sqs";
        let is_whole = [partition, region, account, name].iter().all(|field| !field.is_empty());
        (is_queue && is_whole).then(|| Self(text.to_owned()))
    }

    pub(crate) fn region(&self) -> &str {
        self.0.split(':').nth(3).unwrap_or_default()
    }

    /// Everything but the queue's own name.
    fn place(text: &str) -> &str {
        text.rsplit_once(':').map_or("", |(place, _)| place)
    }

    fn is_beside(&self, other: &str) -> bool {
        Self::place(&self.0) == Self::place(other)
    }
}

/// Why ours cannot be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) String);

/// Adds the entry, or puts it in the place of the one that is there.
pub(crate) fn attach(
    mut all: NotificationConfiguration,
    wish: &Wish,
) -> Result<NotificationConfiguration, Refusal> {
    if wish.events.is_empty() {
        return Ok(detach(all, &wish.id, &wish.queue));
    }
    let ours = queue_configuration(wish)?;
    let queues = all.queue_configurations.take().unwrap_or_default();
    let place = queues.iter().position(|queue| is_ours(queue, &wish.id, &wish.queue));
    let mut kept = queues;
    if let Some(place) = place {
        kept.remove(place);
    }
    all.queue_configurations = Some(kept);
    if let Some(other) = others(&all).find(|other| other.id == Some(wish.id.as_str())) {
        return Err(Refusal(format!(
            "there is another notification of the name {}, to {}: choose another name for the stack, or remove it",
            wish.id, other.destination
        )));
    }
    if let Some(other) = others(&all).find(|other| other.overlaps(&ours)) {
        return Err(Refusal(overlap(wish, &other)));
    }
    let queues = all.queue_configurations.get_or_insert_default();
    queues.insert(place.unwrap_or(queues.len()), ours);
    Ok(all)
}

/// Removes the entry, if it is there.
pub(crate) fn detach(
    mut all: NotificationConfiguration,
    id: &str,
    queue: &QueueArn,
) -> NotificationConfiguration {
    if let Some(queues) = &mut all.queue_configurations {
        queues.retain(|other| !is_ours(other, id, queue));
    }
    if all.queue_configurations.as_ref().is_some_and(Vec::is_empty) {
        all.queue_configurations = None;
    }
    all
}

fn is_ours(queue: &QueueConfiguration, id: &str, ours: &QueueArn) -> bool {
    queue.id() == Some(id) && ours.is_beside(queue.queue_arn())
}

fn queue_configuration(wish: &Wish) -> Result<QueueConfiguration, Refusal> {
    let mut entry = QueueConfiguration::builder().id(&wish.id).queue_arn(&wish.queue.0);
    for event in &wish.events {
        entry = entry.events(Event::from(*event));
    }
    let prefix = plain_beginning(&wish.prefix);
    if !prefix.is_empty() {
        let rule = FilterRule::builder().name(FilterRuleName::Prefix).value(prefix).build();
        let key = S3KeyFilter::builder().filter_rules(rule).build();
        entry = entry.filter(NotificationConfigurationFilter::builder().key(key).build());
    }
    entry.build().map_err(|error| Refusal(error.to_string()))
}

/// The beginning of a prefix that means the same however S3 encodes keys before it compares them.
/// What is notified of beyond the prefix, the function filters.
fn plain_beginning(prefix: &str) -> &str {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '.');
    let end = prefix.find(|c| !is_plain(c)).unwrap_or(prefix.len());
    prefix.get(..end).unwrap_or_default()
}

fn overlap(wish: &Wish, other: &Other<'_>) -> String {
    let name = other.id.unwrap_or("without a name");
    let events: Vec<&str> = other.events.iter().map(Event::as_str).collect();
    format!(
        "the bucket notifies {} (configuration {name}) of {} under the prefix \"{}\" already, and {} asks for {} under \"{}\". S3 says: {OVERLAP} Have the bucket notify a topic that both are subscribed to, or turn on EventBridge for the bucket and set AttachNotification to false",
        other.destination,
        events.join(", "),
        other.rule("prefix"),
        wish.id,
        wish.events.join(", "),
        plain_beginning(&wish.prefix),
    )
}

/// An entry of any kind, as far as entries can meet.
struct Other<'a> {
    id: Option<&'a str>,
    destination: &'a str,
    events: &'a [Event],
    filter: Option<&'a NotificationConfigurationFilter>,
}

fn others(all: &NotificationConfiguration) -> impl Iterator<Item = Other<'_>> {
    let queues = all.queue_configurations().iter().map(Other::of_queue);
    let topics = all.topic_configurations().iter().map(|topic| Other {
        id: topic.id(),
        destination: topic.topic_arn(),
        events: topic.events(),
        filter: topic.filter(),
    });
    let functions = all.lambda_function_configurations().iter().map(|function| Other {
        id: function.id(),
        destination: function.lambda_function_arn(),
        events: function.events(),
        filter: function.filter(),
    });
    queues.chain(topics).chain(functions)
}

impl<'a> Other<'a> {
    fn of_queue(queue: &'a QueueConfiguration) -> Self {
        Self {
            id: queue.id(),
            destination: queue.queue_arn(),
            events: queue.events(),
            filter: queue.filter(),
        }
    }

    /// The value of a rule; S3 writes their names with a capital, and reads both.
    fn rule(&self, name: &str) -> &'a str {
        let rules = self.filter.and_then(|filter| filter.key()).map(S3KeyFilter::filter_rules);
        let mut rules = rules.unwrap_or_default().iter();
        let is_it = |rule: &&FilterRule| {
            rule.name().is_some_and(|its| its.as_str().eq_ignore_ascii_case(name))
        };
        rules.find(is_it).and_then(FilterRule::value).unwrap_or_default()
    }

    /// As S3 judges it: a common event, of keys that both filters could let pass.
    fn overlaps(&self, ours: &'a QueueConfiguration) -> bool {
        let ours = Self::of_queue(ours);
        let (here, there) = (self.rule("prefix"), ours.rule("prefix"));
        let (end, other_end) = (self.rule("suffix"), ours.rule("suffix"));
        (here.starts_with(there) || there.starts_with(here))
            && (end.ends_with(other_end) || other_end.ends_with(end))
            && self.events.iter().any(|a| ours.events.iter().any(|b| meet(a.as_str(), b.as_str())))
    }
}

/// Whether two names of events have an event in common; `*` at the end is any.
fn meet(a: &str, b: &str) -> bool {
    match (a.strip_suffix('*'), b.strip_suffix('*')) {
        (None, None) => a == b,
        (Some(a), None) => b.starts_with(a),
        (None, Some(b)) => a.starts_with(b),
        (Some(a), Some(b)) => a.starts_with(b) || b.starts_with(a),
    }
}

#[cfg(test)]
mod tests;
