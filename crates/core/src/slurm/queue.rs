//! What the queue says of jobs.

use serde::Serialize;

/// One line of `squeue`: a task of an array, or a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Task {
    /// Number of the array.
    pub job: String,
    /// Index in it; `None` of a job that is no array.
    pub index: Option<usize>,
    /// Its state, such as `PENDING`.
    pub state: String,
    /// Why it waits, or how it ended.
    pub reason: String,
}

/// What is known of a task's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It waits for its turn.
    Waiting,
    /// It waits for something that does not come by itself.
    Stuck,
    /// It runs, or is about to end or to begin.
    Running,
    /// It is over, in one way or another.
    Over,
}

/// An answer to a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The tasks that the controller remembers; those that it has forgotten are over.
    Tasks(Vec<Task>),
    /// The query failed, and says nothing about jobs.
    Nothing(String),
}

/// What `squeue -o` is asked for; [`parse_queue`] reads it.
pub(super) const FORMAT: &str = "%F|%K|%T|%r";

/// Lines of `squeue -h -r -o '%F|%K|%T|%r'`; other lines, such as names of clusters, are left out.
pub fn parse_queue(text: &str) -> Vec<Task> {
    let line = |line: &str| {
        let mut fields = line.splitn(4, '|').map(str::trim);
        let (job, index, state, reason) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let is_number = !job.is_empty() && job.bytes().all(|byte| byte.is_ascii_digit());
        let (state, reason) = (state.to_string(), reason.to_string());
        is_number.then(|| Task { job: job.into(), index: index.parse().ok(), state, reason })
    };
    text.lines().filter_map(line).collect()
}

impl Task {
    /// What is known of its life.
    pub fn life(&self) -> State {
        match self.state.as_str() {
            "PENDING" | "REQUEUED" if is_final(&self.reason) => State::Stuck,
            "REQUEUE_HOLD" | "SPECIAL_EXIT" => State::Stuck,
            "PENDING" | "REQUEUED" => State::Waiting,
            "BOOT_FAIL" | "CANCELLED" | "COMPLETED" | "DEADLINE" | "FAILED" | "NODE_FAIL" | "OUT_OF_MEMORY"
            | "PREEMPTED" | "REVOKED" | "TIMEOUT" => State::Over,
            _ => State::Running,
        }
    }
}

/// Whether a job that waits for this reason waits until somebody changes something.
pub fn is_final(reason: &str) -> bool {
    const FINAL: [&str; 14] = [
        "AccountNotAllowed",
        "BadConstraints",
        "BeginTimeInThePast",
        "DependencyNeverSatisfied",
        "InvalidAccount",
        "InvalidQOS",
        "JobHeldAdmin",
        "JobHeldUser",
        "PartitionNodeLimit",
        "PartitionTimeLimit",
        "QOSNotAllowed",
        "QOSUsageThreshold",
        "launch failed requeued held",
        "job requeued in held state",
    ];
    // Limits of one job, as against those of all jobs together: `QOSMaxWallDurationPerJobLimit`, `AssocMaxNodePerJobLimit`.
    let of_one_job =
        reason.ends_with("PerJobLimit") || reason.ends_with("MinGRES") || reason.ends_with("MinCpuNotSatisfied");
    of_one_job || FINAL.contains(&reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_squeue_are_read() {
        let text = "CLUSTER: local\n12|0|RUNNING|None\n12|1|PENDING|Nodes_required_for_job_are_DOWN,_DRAINED\n\
                    13|N/A|COMPLETED|None\n12|2|PENDING|PartitionTimeLimit\n||x|\nslurm_load_jobs error\n";
        let tasks = parse_queue(text);
        assert_eq!(tasks.len(), 4);
        assert_eq!((tasks[1].job.as_str(), tasks[1].index), ("12", Some(1)));
        assert_eq!(tasks[2].index, None);
        let lives: Vec<State> = tasks.iter().map(Task::life).collect();
        assert_eq!(lives, [State::Running, State::Waiting, State::Over, State::Stuck]);
    }

    #[test]
    fn reasons_that_never_end_are_known() {
        for reason in ["PartitionTimeLimit", "DependencyNeverSatisfied", "QOSMaxWallDurationPerJobLimit", "JobHeldUser"]
        {
            assert!(is_final(reason), "{reason}");
        }
        for reason in ["Resources", "Priority", "None", "QOSMaxJobsPerUserLimit", "BeginTime", "AssocGrpCpuLimit"] {
            assert!(!is_final(reason), "{reason}");
        }
    }
}
