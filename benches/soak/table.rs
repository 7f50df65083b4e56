//! The table at the end.

use super::crew::Worker;

/// Prints a line for each job, and one for the hostile process.
pub(crate) fn print(workers: &[Worker], hostile: &Worker) {
    println!(
        "| job | operations | events lost, all reported | forged at it | of these refused by the kernel | memory KiB | \
         descriptors | errors by kind |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---|");
    for worker in workers {
        let count = |what: &str| {
            let count = hostile.tally.errors.get(&format!("{what}-{}", worker.id()));
            count.copied().unwrap_or(0)
        };
        line(worker, &count("sent").to_string(), &count("refused").to_string());
    }
    line(hostile, "", "");
    let groups = hostile.tally.errors.get("multicast").copied().unwrap_or(0);
    println!(
        "\nThe operations of `{}` are the messages that it sent, {groups} of them to groups.",
        hostile.name
    );
}

fn line(worker: &Worker, forged: &str, refused: &str) {
    let tally = &worker.tally;
    let usage = |what: fn(&super::crew::Usage) -> u64| match (&worker.begin, &worker.end) {
        (Some(begin), Some(end)) => format!("{} → {}", what(begin), what(end)),
        _ => String::new(),
    };
    let (memory, descriptors) = (usage(|usage| usage.memory_kib), usage(|usage| usage.descriptors as u64));
    let kinds = tally.errors.iter().filter(|(kind, _)| !kind.contains('-') && *kind != "multicast");
    let errors: Vec<String> = kinds.map(|(kind, count)| format!("{kind} {count}")).collect();
    println!(
        "| {} | {} | {} | {forged} | {refused} | {memory} | {descriptors} | {} |",
        worker.name,
        tally.operations,
        tally.lost,
        errors.join(", ")
    );
}
