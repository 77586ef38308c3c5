package dev.manners.feedback;

import dev.manners.files.Json;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/// Tasks and verdicts to try things with.
final class Feedback {

    static final Assignment.Terms ONCE = terms(1);

    private Feedback() {}

    static Assignment.Terms terms(int overlap) {
        return new Assignment.Terms(overlap, Duration.ofMinutes(30), 0);
    }

    static Task task(int number, String... answers) {
        return new Task(
                Task.question("Question " + number + "?"),
                Arrays.stream(answers).map(Answer::of).toList(),
                null);
    }

    static List<Task> tasks(int count) {
        return IntStream.range(0, count)
                .mapToObj(i -> task(i, "Yes, it is " + i + ".", "No."))
                .toList();
    }

    static Answer.Sample sample(long seed, Answer.Finish finish) {
        return new Answer.Sample(
                "tiny",
                "0123",
                Json.MAPPER.createObjectNode().put("temperature", 0.7),
                seed,
                12,
                0,
                List.of(1, 2, 3),
                finish);
    }

    static Ranking ranks(Integer... ranks) {
        return new Ranking.Ranked(Arrays.asList(ranks));
    }

    static Verdict verdict(Assignment given, String id, Integer... ranks) {
        return given.verdict(id, ranks(ranks), Verdict.Remarks.NONE, Verdict.Circumstances.of("test"));
    }

    static List<Recorded> verdicts(FeedbackStore store) {
        List<Recorded> all = new ArrayList<>();
        try (Snapshot snapshot = store.snapshot()) {
            snapshot.forEachVerdict(snapshot.through(), all::add);
        }
        return all;
    }
}
