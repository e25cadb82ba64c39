use aws_sdk_s3::types::{
    EventBridgeConfiguration, LambdaFunctionConfiguration, TopicConfiguration,
};
use proptest::prelude::*;

use super::*;

const QUEUE: &str = "arn:aws:sqs:eu-west-1:111122223333:photos-event";

fn wish(prefix: &str, events: &[&'static str]) -> Wish {
    Wish {
        id: "tranship-photos".to_owned(),
        queue: QueueArn::parse(QUEUE).unwrap(),
        prefix: prefix.to_owned(),
        events: events.to_vec(),
    }
}

fn filter(prefix: &str, suffix: &str) -> NotificationConfigurationFilter {
    // As S3 spells the names in its answers.
    let rule = |name: &str, value: &str| {
        FilterRule::builder().name(FilterRuleName::from(name)).value(value).build()
    };
    let key = S3KeyFilter::builder()
        .filter_rules(rule("Prefix", prefix))
        .filter_rules(rule("Suffix", suffix))
        .build();
    NotificationConfigurationFilter::builder().key(key).build()
}

fn queue(
    id: &str,
    arn: &str,
    event: &str,
    filter: NotificationConfigurationFilter,
) -> QueueConfiguration {
    let queue = QueueConfiguration::builder().id(id).queue_arn(arn).events(Event::from(event));
    queue.filter(filter).build().unwrap()
}

fn with_queue(queue: QueueConfiguration) -> NotificationConfiguration {
    NotificationConfiguration::builder().queue_configurations(queue).build()
}

#[test]
fn arns_of_queues_are_told_from_others() {
    for arn in
        [QUEUE, "arn:aws-cn:sqs:cn-north-1:111122223333:q", "arn:aws-us-gov:sqs:us-gov-west-1:1:q"]
    {
        assert!(QueueArn::parse(arn).is_some(), "{arn}");
    }
    for arn in [
        "",
        "photos-event",
        "arn:aws:sns:eu-west-1:1:t",
        "arn:aws:sqs:eu-west-1::q",
        "arn:aws:sqs:r:1:q:x",
    ] {
        assert!(QueueArn::parse(arn).is_none(), "{arn}");
    }
}

#[test]
fn only_the_beginning_of_a_prefix_that_needs_no_encoding_is_a_filter() {
    for (prefix, plain) in [
        ("", ""),
        ("photos/2026/", "photos/2026/"),
        ("a b/", "a"),
        ("a+b", "a"),
        ("é/", ""),
        ("x/%41", "x/"),
        ("p_-.0/😀", "p_-.0/"),
    ] {
        assert_eq!(plain_beginning(prefix), plain);
    }
}

#[test]
fn what_overlaps_is_refused_and_what_does_not_is_no_hindrance() {
    let theirs = "arn:aws:sqs:eu-west-1:111122223333:theirs";
    let created = "s3:ObjectCreated:*";
    for (event, prefix, suffix, overlaps) in [
        ("s3:ObjectCreated:*", "", "", true),
        ("s3:ObjectCreated:Put", "photos/", "", true),
        ("s3:ObjectCreated:Put", "photos/2026/", ".jpg", true),
        ("s3:ObjectCreated:Put", "pho", "", true),
        ("s3:*", "", "", true),
        ("s3:ObjectCreated:Put", "videos/", "", false),
        ("s3:ObjectRemoved:*", "", "", false),
        ("s3:ObjectTagging:*", "photos/", "", false),
        ("s3:SomethingNew:*", "photos/", "", false),
    ] {
        let all = with_queue(queue("theirs", theirs, event, filter(prefix, suffix)));
        let attached = attach(all.clone(), &wish("photos/", &[created]));
        match attached {
            Err(refusal) => {
                assert!(overlaps, "{event} {prefix}");
                for part in [theirs, event, OVERLAP, "AttachNotification"] {
                    assert!(refusal.0.contains(part), "{}", refusal.0);
                }
            }
            Ok(after) => {
                assert!(!overlaps, "{event} {prefix}");
                assert_eq!(after.queue_configurations()[0], all.queue_configurations()[0]);
                assert_eq!(after.queue_configurations().len(), 2);
            }
        }
    }
}

#[test]
fn an_update_takes_the_place_of_the_entry_and_a_stranger_of_the_same_name_stays() {
    let before =
        attach(NotificationConfiguration::builder().build(), &wish("a/", &["s3:ObjectCreated:*"]))
            .unwrap();
    let both = wish("b/", &["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]);
    let mut moved = both.clone();
    moved.queue = QueueArn::parse("arn:aws:sqs:eu-west-1:111122223333:photos-event-2").unwrap();
    let after = attach(attach(before, &both).unwrap(), &moved).unwrap();
    assert_eq!(after.queue_configurations().len(), 1);
    assert_eq!(after.queue_configurations()[0].queue_arn(), moved.queue.0);
    assert_eq!(after.queue_configurations()[0].events().len(), 2);
    // It keeps its place, so that the same request again has nothing to write.
    let mut with_another = after.clone();
    let another = queue("theirs", "arn:aws:sqs:r:1:q", "s3:ObjectTagging:*", filter("", ""));
    with_another.queue_configurations.get_or_insert_default().push(another);
    assert_eq!(attach(with_another.clone(), &moved).unwrap(), with_another);
    // No events at all: the entry goes.
    let none = attach(after, &wish("b/", &[])).unwrap();
    assert_eq!(none, NotificationConfiguration::builder().build());

    let elsewhere = "arn:aws:sqs:eu-west-1:999988887777:photos-event";
    let theirs = queue("tranship-photos", elsewhere, "s3:ObjectRemoved:*", filter("x/", ""));
    let all = with_queue(theirs);
    let refusal = attach(all.clone(), &wish("a/", &["s3:ObjectCreated:*"])).unwrap_err();
    assert!(refusal.0.contains(elsewhere), "{}", refusal.0);
    assert_eq!(detach(all.clone(), "tranship-photos", &QueueArn::parse(QUEUE).unwrap()), all);
}

const EVENTS: [&str; 7] = [
    "s3:ObjectCreated:*",
    "s3:ObjectCreated:Put",
    "s3:ObjectRemoved:*",
    "s3:ObjectRestore:Completed",
    "s3:LifecycleExpiration:*",
    "s3:ObjectTagging:*",
    "s3:SomethingNew:Of2030",
];

fn any_entry()
-> impl Strategy<Value = (Option<String>, Event, Option<NotificationConfigurationFilter>)> {
    let id = prop::option::of("[a-z]{1,4}|tranship-photos2");
    let event = prop::sample::select(EVENTS.to_vec()).prop_map(Event::from);
    let filter = prop::option::of(("[ab]{0,2}/?", "(\\.[xy])?").prop_map(|(p, s)| filter(&p, &s)));
    (id, event, filter)
}

fn any_configuration() -> impl Strategy<Value = NotificationConfiguration> {
    let entries = || prop::collection::vec(any_entry(), 0..4);
    (entries(), entries(), entries(), any::<bool>()).prop_map(|(topics, queues, functions, bus)| {
        let mut all = NotificationConfiguration::builder();
        for (id, event, filter) in topics {
            let topic = TopicConfiguration::builder().set_id(id).topic_arn("arn:aws:sns:r:1:t");
            all = all.topic_configurations(topic.events(event).set_filter(filter).build().unwrap());
        }
        for (id, event, filter) in queues {
            let queue = QueueConfiguration::builder().set_id(id).queue_arn("arn:aws:sqs:r:1:q");
            all = all.queue_configurations(queue.events(event).set_filter(filter).build().unwrap());
        }
        for (id, event, filter) in functions {
            let function = LambdaFunctionConfiguration::builder().set_id(id);
            let function = function.lambda_function_arn("arn:aws:lambda:r:1:function:f");
            let function = function.events(event).set_filter(filter).build().unwrap();
            all = all.lambda_function_configurations(function);
        }
        let bus = bus.then(|| EventBridgeConfiguration::builder().build());
        all.set_event_bridge_configuration(bus).build()
    })
}

proptest! {
    #[test]
    fn others_stay_as_they_were_and_to_attach_and_detach_is_to_do_nothing(
        all in any_configuration(),
        prefix in "[ab]{0,2}/?",
        events in prop::sample::subsequence(EVENTS[..4].to_vec(), 1..4),
    ) {
        let wish = wish(&prefix, &events);
        prop_assert_eq!(&detach(all.clone(), &wish.id, &wish.queue), &all);
        if let Ok(attached) = attach(all.clone(), &wish) {
            prop_assert_eq!(&attached.topic_configurations, &all.topic_configurations);
            prop_assert_eq!(&attached.lambda_function_configurations, &all.lambda_function_configurations);
            prop_assert_eq!(&attached.event_bridge_configuration, &all.event_bridge_configuration);
            let (ours, theirs): (Vec<_>, Vec<_>) =
                attached.queue_configurations().iter().partition(|queue| queue.queue_arn() == QUEUE);
            prop_assert_eq!(ours.len(), 1);
            prop_assert!(theirs.into_iter().eq(all.queue_configurations()));
            prop_assert_eq!(&attach(attached.clone(), &wish).unwrap(), &attached);
            prop_assert_eq!(&detach(attached, &wish.id, &wish.queue), &all);
        }
    }
}
