package dev.manners.feedback;

import dev.manners.BadInput;
import dev.manners.files.Json;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import org.jdbi.v3.core.Handle;
import org.jspecify.annotations.Nullable;

/// Tasks and verdicts in one file, an SQLite database. Nothing in it is changed or removed: what a call returned
/// is on the disk and stays. Safe for use by several threads, and by several processes at once.
///
///     try (FeedbackStore store = FeedbackStore.open(Path.of("feedback.db"))) {
///         store.add(List.of(task));
///         Assignment given = store.next("ada", terms).orElseThrow();
///         store.add(given.verdict("a-uuid", new Ranking.Ranked(List.of(1, 2)), remarks, circumstances));
///     }
public final class FeedbackStore implements AutoCloseable {

    private final Database database;
    private final Handle writer;
    private final Clock clock;

    private FeedbackStore(Database database, Clock clock) {
        this.database = database;
        this.writer = database.guarded(database::writer);
        this.clock = clock;
    }

    /// Opens a store, which is made if it is absent and brought up to date if it is older.
    ///
    /// @throws BadInput if the file is something else, damaged, or written by a newer program
    public static FeedbackStore open(Path file) {
        return open(file, Clock.systemUTC());
    }

    /// The same with another idea of now.
    public static FeedbackStore open(Path file, Clock clock) {
        Database database = new Database(file);
        database.prepare();
        return new FeedbackStore(database, clock);
    }

    /// Several calls as one: all of them are saved when this returns, or none.
    public synchronized <T> T together(Supplier<T> calls) {
        return database.guarded(() -> writer.inTransaction(_ -> calls.get()));
    }

    /// Adds the tasks that are not in it yet, all or none.
    ///
    /// @return how many were new
    public int add(List<Task> tasks) {
        return together(() -> {
            int added = 0;
            for (Task task : tasks) {
                added += writer.createUpdate("""
                        INSERT INTO task (number, id, content, servable, created_at)
                        SELECT (SELECT COALESCE(MAX(number), 0) + 1 FROM task), :id, :content, :servable, :now
                        WHERE NOT EXISTS (SELECT 1 FROM task WHERE id = :id)""")
                        .bind("id", task.id())
                        .bind("content", task.json().toString())
                        .bind("servable", task.servable().size() > 1 ? 1 : 0)
                        .bind("now", clock.millis())
                        .execute();
            }
            return added;
        });
    }

    /// A task by its id.
    public Optional<Task> task(String id) {
        return together(() -> writer.createQuery("SELECT number, content FROM task WHERE id = :id")
                .bind("id", id)
                .map((row, _) -> task(row))
                .findOne());
    }

    private static Task task(ResultSet row) throws SQLException {
        return Task.of(parse("task " + row.getLong("number"), row.getString("content")));
    }

    private static Fields parse(String what, String json) {
        return Fields.of(what, Json.parseObject(json.getBytes(StandardCharsets.UTF_8), what));
    }

    /// The annotator's next task: one begun and not answered, now and then one to be asked again, or a new one
    /// that has fewer annotators than it shall have. A place is kept for the time of the lease; no task gets more
    /// first verdicts that count than `overlap`, whoever asks at the same time.
    ///
    /// @return empty if there is nothing to do for this annotator now
    public Optional<Assignment> next(String annotator, Assignment.Terms terms) {
        Verdict.requireName(annotator);
        return together(() -> {
            long who = annotator(annotator);
            return begun(annotator, who, terms)
                    .or(() -> again(annotator, who, terms))
                    .or(() -> fresh(annotator, who, terms));
        });
    }

    private Optional<Assignment> begun(String annotator, long who, Assignment.Terms terms) {
        record Open(long number, String id, Task task, int occasion, List<Integer> shown, long until) {}
        List<Open> open = writer.createQuery("""
                SELECT t.number, t.id, t.content, a.occasion, a.shown, a.leased_until
                FROM assignment a JOIN task t ON t.number = a.task
                WHERE a.annotator = :who AND a.state = 'OPEN' ORDER BY a.task, a.occasion""")
                .bind("who", who)
                .map((row, _) -> new Open(
                        row.getLong("number"),
                        row.getString("id"),
                        task(row),
                        row.getInt("occasion"),
                        shown(row.getString("shown")),
                        row.getLong("leased_until")))
                .list();
        for (Open each : open) {
            boolean kept = each.occasion() > 0 || each.until() > clock.millis();
            if (kept || taken(each.number(), who) < terms.overlap()) {
                writer.createUpdate("""
                        UPDATE assignment SET leased_until = :until, overlap = :overlap
                        WHERE task = :task AND annotator = :who AND occasion = :occasion""")
                        .bind("until", clock.millis() + terms.lease().toMillis())
                        .bind("overlap", terms.overlap())
                        .bind("task", each.number())
                        .bind("who", who)
                        .bind("occasion", each.occasion())
                        .execute();
                return Optional.of(new Assignment(
                        each.id(),
                        each.task(),
                        annotator,
                        each.occasion(),
                        each.shown(),
                        current(each.number(), who, each.occasion())));
            }
        }
        return Optional.empty();
    }

    /// The task judged longest ago, its answers in the opposite order.
    private Optional<Assignment> again(String annotator, long who, Assignment.Terms terms) {
        if (terms.repeats() == 0) {
            return Optional.empty();
        }
        long judged = writer.createQuery(
                        "SELECT COUNT(*) FROM assignment WHERE annotator = :who AND state = 'DONE' AND occasion = 0")
                .bind("who", who)
                .mapTo(long.class)
                .one();
        long repeated = writer.createQuery("SELECT COUNT(*) FROM assignment WHERE annotator = :who AND occasion = 1")
                .bind("who", who)
                .mapTo(long.class)
                .one();
        if (repeated >= Math.floor(judged * terms.repeats())) {
            return Optional.empty();
        }
        return writer.createQuery("""
                SELECT t.number, t.id, t.content, a.shown FROM assignment a JOIN task t ON t.number = a.task
                WHERE a.annotator = :who AND a.state = 'DONE' AND a.occasion = 0 AND NOT EXISTS (
                    SELECT 1 FROM assignment b WHERE b.annotator = :who AND b.task = a.task AND b.occasion = 1)
                ORDER BY (SELECT MIN(v.number) FROM verdict v
                          WHERE v.task = a.task AND v.annotator = a.annotator AND v.occasion = 0) LIMIT 1""")
                .bind("who", who)
                .map((row, _) -> {
                    List<Integer> shown = shown(row.getString("shown")).reversed();
                    assign(row.getLong("number"), who, 1, shown, terms);
                    return new Assignment(row.getString("id"), task(row), annotator, 1, List.copyOf(shown), null);
                })
                .findOne();
    }

    private Optional<Assignment> fresh(String annotator, long who, Assignment.Terms terms) {
        return writer.createQuery("""
                SELECT t.number, t.id, t.content,
                    (SELECT COUNT(*) FROM assignment a WHERE a.task = t.number AND a.occasion = 0) AS before
                FROM task t
                WHERE t.servable = 1 AND t.done < :overlap
                    AND NOT EXISTS (SELECT 1 FROM assignment a WHERE a.task = t.number AND a.annotator = :who)
                    AND (SELECT COUNT(*) FROM assignment a WHERE a.task = t.number AND a.occasion = 0
                        AND (a.state = 'DONE' OR a.state = 'OPEN' AND a.leased_until > :now)) < :overlap
                ORDER BY t.done, t.number LIMIT 1""")
                .bind("overlap", terms.overlap())
                .bind("who", who)
                .bind("now", clock.millis())
                .map((row, _) -> {
                    Task task = task(row);
                    String id = row.getString("id");
                    List<Integer> shown = Assignment.order(id, task.servable(), row.getInt("before"));
                    assign(row.getLong("number"), who, 0, shown, terms);
                    return new Assignment(id, task, annotator, 0, shown, null);
                })
                .findOne();
    }

    private void assign(long task, long who, int occasion, List<Integer> shown, Assignment.Terms terms) {
        assign(
                task,
                who,
                occasion,
                shown,
                terms.overlap(),
                clock.millis() + terms.lease().toMillis());
    }

    private void assign(long task, long who, int occasion, List<Integer> shown, int overlap, long until) {
        writer.createUpdate("""
                INSERT INTO assignment (task, annotator, occasion, shown, overlap, state, leased_until)
                VALUES (:task, :who, :occasion, :shown, :overlap, 'OPEN', :until)""")
                .bind("task", task)
                .bind("who", who)
                .bind("occasion", occasion)
                .bind("shown", Fields.ints(shown).toString())
                .bind("overlap", overlap)
                .bind("until", until)
                .execute();
    }

    private static List<Integer> shown(String json) {
        return parse("an assignment", "{\"shown\":" + json + "}").ints("shown");
    }

    private long annotator(String name) {
        writer.createUpdate("""
                INSERT INTO annotator (number, name)
                SELECT (SELECT COALESCE(MAX(number), 0) + 1 FROM annotator), :name
                WHERE NOT EXISTS (SELECT 1 FROM annotator WHERE name = :name)""").bind("name", name).execute();
        return writer.createQuery("SELECT number FROM annotator WHERE name = :name")
                .bind("name", name)
                .mapTo(long.class)
                .one();
    }

    /// How many other annotators have answered a task or hold it.
    private int taken(long task, long who) {
        return writer.createQuery("""
                SELECT COUNT(*) FROM assignment WHERE task = :task AND occasion = 0 AND annotator <> :who
                    AND (state = 'DONE' OR state = 'OPEN' AND leased_until > :now)""")
                .bind("task", task)
                .bind("who", who)
                .bind("now", clock.millis())
                .mapTo(int.class)
                .one();
    }

    /// The id of the verdict that stands, or null.
    private @Nullable String current(long task, long who, int occasion) {
        return writer.createQuery("""
                SELECT v.id FROM verdict v WHERE v.task = :task AND v.annotator = :who AND v.occasion = :occasion
                    AND NOT EXISTS (SELECT 1 FROM verdict w WHERE w.supersedes = v.id)""")
                .bind("task", task)
                .bind("who", who)
                .bind("occasion", occasion)
                .mapTo(String.class)
                .findOne()
                .orElse(null);
    }

    /// Saves the answer to an [Assignment], or a correction. The same verdict again, however much later, changes
    /// nothing and returns what is stored.
    ///
    /// @throws BadInput if the annotator was not given the task in this order, has answered it already, or the
    ///     verdict does not fit it; then nothing is saved
    public Recorded add(Verdict verdict) {
        return together(() -> {
            Optional<Recorded> stored = stored(verdict);
            return stored.orElseGet(() -> {
                long task = number(verdict.task());
                long who = annotator(verdict.annotator());
                Given given = given(task, who, verdict.occasion())
                        .orElseThrow(() -> new BadInput("verdict " + verdict.id() + ": " + verdict.annotator()
                                + " was not given task " + verdict.task() + "; ask for the next task first"));
                if (!given.shown().equals(verdict.shown())) {
                    throw new BadInput("verdict " + verdict.id() + ": says that the answers were shown as "
                            + verdict.shown() + ", but they were given out as " + given.shown());
                }
                boolean late = verdict.occasion() == 0
                        && verdict.ranking().counts()
                        && given.overlap() > 0
                        && taken(task, who) >= given.overlap();
                return insert(verdict, task, who, late, clock.millis());
            });
        });
    }

    /// Takes over a verdict from elsewhere, with its time: nobody has to have been asked.
    ///
    /// @return whether it was new
    /// @throws BadInput as [#add]
    boolean restore(Recorded recorded) {
        return together(() -> {
            Verdict verdict = recorded.verdict();
            if (stored(verdict).isPresent()) {
                return false;
            }
            long task = number(verdict.task());
            long who = annotator(verdict.annotator());
            if (given(task, who, verdict.occasion()).isEmpty()) {
                assign(task, who, verdict.occasion(), verdict.shown(), 0, 0);
            }
            insert(verdict, task, who, recorded.late(), recorded.at().toEpochMilli());
            return true;
        });
    }

    private record Given(List<Integer> shown, int overlap) {}

    private Optional<Given> given(long task, long who, int occasion) {
        return writer.createQuery("""
                SELECT shown, overlap FROM assignment
                WHERE task = :task AND annotator = :who AND occasion = :occasion""")
                .bind("task", task)
                .bind("who", who)
                .bind("occasion", occasion)
                .map((row, _) -> new Given(shown(row.getString("shown")), row.getInt("overlap")))
                .findOne();
    }

    private long number(String task) {
        return writer.createQuery("SELECT number FROM task WHERE id = :id")
                .bind("id", task)
                .mapTo(long.class)
                .findOne()
                .orElseThrow(() -> new BadInput("no task " + task + " in the store"));
    }

    /// What is stored under the verdict's id, which must be the same.
    private Optional<Recorded> stored(Verdict verdict) {
        Optional<Recorded> stored = writer.createQuery(Snapshot.VERDICTS + " WHERE v.id = :id")
                .bind("id", verdict.id())
                .map((row, _) -> Snapshot.recorded(row))
                .findOne();
        stored.ifPresent(s -> {
            Recorded given = new Recorded(s.number(), verdict, s.late(), s.at());
            if (!given.json().toString().equals(s.json().toString())) {
                throw new BadInput("verdict " + verdict.id()
                        + ": another verdict has this id; give each its own, and correct one by superseding it");
            }
        });
        return stored;
    }

    private Recorded insert(Verdict verdict, long task, long who, boolean late, long now) {
        verdict.check(writer.createQuery("SELECT number, content FROM task WHERE number = :number")
                .bind("number", task)
                .map((row, _) -> task(row))
                .one());
        String stands = current(task, who, verdict.occasion());
        if (!java.util.Objects.equals(stands, verdict.supersedes())) {
            throw new BadInput("verdict " + verdict.id() + ": "
                    + (stands == null
                            ? "supersedes " + verdict.supersedes() + ", which is not a verdict of "
                                    + verdict.annotator() + " on this task"
                            : verdict.annotator() + " has judged this task already; to correct that, supersede "
                                    + stands));
        }
        if (stands == null && verdict.ranking() instanceof Ranking.Withdrawn) {
            throw new BadInput("verdict " + verdict.id() + ": there is nothing to withdraw");
        }
        long number = writer.createQuery("SELECT COALESCE(MAX(number), 0) + 1 FROM verdict")
                .mapTo(long.class)
                .one();
        writer.createUpdate("""
                INSERT INTO verdict
                    (number, id, task, annotator, occasion, kind, content, supersedes, late, created_at)
                VALUES (:number, :id, :task, :who, :occasion, :kind, :content, :supersedes, :late, :now)""")
                .bind("number", number)
                .bind("id", verdict.id())
                .bind("task", task)
                .bind("who", who)
                .bind("occasion", verdict.occasion())
                .bind("kind", verdict.ranking().kind().name())
                .bind("content", Recorded.content(verdict).toString())
                .bind("supersedes", verdict.supersedes())
                .bind("late", late ? 1 : 0)
                .bind("now", now)
                .execute();
        String state = switch (verdict.ranking()) {
            case Ranking.Ranked _, Ranking.AllBad _ -> "DONE";
            case Ranking.Skipped _ -> "SKIPPED";
            case Ranking.Withdrawn _ -> "OPEN";
        };
        writer.createUpdate("""
                UPDATE assignment SET state = :state
                WHERE task = :task AND annotator = :who AND occasion = :occasion""")
                .bind("state", state)
                .bind("task", task)
                .bind("who", who)
                .bind("occasion", verdict.occasion())
                .execute();
        writer.createUpdate("""
                UPDATE task SET done = (
                    SELECT COUNT(*) FROM assignment WHERE task = :task AND occasion = 0 AND state = 'DONE')
                WHERE number = :task""").bind("task", task).execute();
        return new Recorded(number, verdict, late, Instant.ofEpochMilli(now));
    }

    /// The store as it is now, to be read while others go on writing.
    public Snapshot snapshot() {
        return database.guarded(() -> new Snapshot(database));
    }

    /// As if the disk had no room for another page.
    synchronized void limitPages() {
        long pages = writer.createQuery("PRAGMA page_count").mapTo(long.class).one();
        writer.execute("PRAGMA max_page_count = " + pages);
    }

    @Override
    public synchronized void close() {
        writer.close();
    }
}
