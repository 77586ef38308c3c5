package dev.manners.feedback;

import dev.manners.BadInput;
import dev.manners.files.RegularFile;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;
import org.flywaydb.core.Flyway;
import org.flywaydb.core.api.FlywayException;
import org.jdbi.v3.core.Handle;
import org.jdbi.v3.core.Jdbi;
import org.jdbi.v3.core.JdbiException;
import org.sqlite.SQLiteConfig;
import org.sqlite.SQLiteDataSource;
import org.sqlite.SQLiteErrorCode;

/// All that is SQLite: how the file is opened, brought to this program's schema, and what its errors mean.
final class Database {

    /// The newest migration in `db/feedback`.
    static final int SCHEMA = 1;

    static final String MIGRATIONS = "classpath:db/feedback";
    private static final int BUSY_MS = 10_000;

    private final Path file;

    Database(Path file) {
        this.file = file.toAbsolutePath();
    }

    /// What was committed survives the loss of power: the write-ahead log is forced with every commit.
    SQLiteDataSource source(SQLiteConfig.TransactionMode mode) {
        SQLiteConfig config = new SQLiteConfig();
        config.setJournalMode(SQLiteConfig.JournalMode.WAL);
        config.setSynchronous(SQLiteConfig.SynchronousMode.FULL);
        config.setBusyTimeout(BUSY_MS);
        config.enforceForeignKeys(true);
        config.setTransactionMode(mode);
        SQLiteDataSource source = new SQLiteDataSource(config);
        source.setUrl("jdbc:sqlite:" + file);
        return source;
    }

    /// A connection whose transactions write.
    Handle writer() {
        return Jdbi.open(source(SQLiteConfig.TransactionMode.IMMEDIATE));
    }

    /// A connection whose transactions see one state and keep nobody from writing.
    Handle reader() {
        return Jdbi.open(source(SQLiteConfig.TransactionMode.DEFERRED));
    }

    /// Makes the file if it is absent, and brings it to this program's schema.
    ///
    /// @throws BadInput if it is something else, or was written by a newer program
    void prepare() {
        try {
            Path parent = file.getParent();
            if (parent != null) {
                Files.createDirectories(parent);
            }
        } catch (IOException e) {
            throw new BadInput(file + ": cannot be made: " + RegularFile.reason(e), e);
        }
        if (Files.exists(file)) {
            RegularFile.require(file);
        }
        if (schema().orElse(0) == SCHEMA) {
            return;
        }
        // One thread of this process, and one process, at a time.
        synchronized (Database.class) {
            Path lock = file.resolveSibling(file.getFileName() + "-migrating");
            try (FileChannel channel = FileChannel.open(lock, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
                    FileLock held = channel.lock()) {
                if (schema().orElse(0) < SCHEMA) {
                    migrate(MIGRATIONS);
                }
                Files.deleteIfExists(lock);
            } catch (IOException e) {
                throw new BadInput(file + ": cannot be made: " + RegularFile.reason(e), e);
            }
        }
    }

    /// Each migration in a transaction of its own.
    void migrate(String... locations) {
        try {
            Flyway.configure(Database.class.getClassLoader())
                    .dataSource(source(SQLiteConfig.TransactionMode.DEFERRED))
                    .locations(locations)
                    .failOnMissingLocations(true)
                    .cleanDisabled(true)
                    .load()
                    .migrate();
        } catch (FlywayException e) {
            throw new BadInput(
                    file + ": cannot be made a feedback store: " + e.getMessage()
                            + "\nIf it holds something else, choose" + " another name; it was left as it was.",
                    e);
        }
    }

    /// The schema it has; empty if it has none.
    ///
    /// While another process is making the file, SQLite says at once that it is busy, whatever its timeout: so this
    /// waits itself.
    private OptionalInt schema() {
        long begun = System.nanoTime();
        while (true) {
            try {
                return storedSchema();
            } catch (BadInput e) {
                boolean busy = sql(e).map(Database::code)
                        .filter(code -> code == SQLiteErrorCode.SQLITE_BUSY || code == SQLiteErrorCode.SQLITE_LOCKED)
                        .isPresent();
                if (!busy
                        || System.nanoTime() - begun
                                > Duration.ofMillis(BUSY_MS).toNanos()) {
                    throw e;
                }
                LockSupport.parkNanos(Duration.ofMillis(20).toNanos());
            }
        }
    }

    private OptionalInt storedSchema() {
        return guarded(() -> {
            try (Handle handle = reader()) {
                boolean any =
                        handle.createQuery("SELECT COUNT(*) FROM sqlite_master WHERE name = 'flyway_schema_history'")
                                        .mapTo(int.class)
                                        .one()
                                > 0;
                if (!any) {
                    return OptionalInt.empty();
                }
                int schema = handle.createQuery(
                                "SELECT COALESCE(MAX(CAST(version AS INTEGER)), 0) FROM flyway_schema_history"
                                        + " WHERE success = 1")
                        .mapTo(int.class)
                        .one();
                if (schema > SCHEMA) {
                    throw new BadInput(file + ": was written by a newer version of this program: its schema is "
                            + schema + ", this one knows " + SCHEMA + ". Use the newer version; nothing was changed.");
                }
                return OptionalInt.of(schema);
            }
        });
    }

    /// Runs what talks to the database, and says what its errors mean to a user.
    <T> T guarded(Supplier<T> work) {
        try {
            return work.get();
        } catch (JdbiException e) {
            SQLException sql = sql(e).orElseThrow(() -> e);
            String meaning = meaning(code(sql));
            if (meaning.isEmpty()) {
                throw e;
            }
            throw new BadInput(file + ": " + meaning + " (" + sql.getMessage() + ")", e);
        }
    }

    /// What SQLite said, where an error comes from it.
    private static Optional<SQLException> sql(Throwable e) {
        for (Throwable cause = e; cause != null; cause = cause.getCause()) {
            if (cause instanceof SQLException sql) {
                return Optional.of(sql);
            }
        }
        return Optional.empty();
    }

    private static SQLiteErrorCode code(SQLException sql) {
        return SQLiteErrorCode.getErrorCode(sql.getErrorCode() & 0xFF);
    }

    private static String meaning(SQLiteErrorCode code) {
        return switch (code) {
            case SQLITE_BUSY, SQLITE_LOCKED ->
                "another process has been writing for " + BUSY_MS / 1000 + " s; nothing was saved, try again";
            case SQLITE_FULL -> "nothing was saved: the disk is full; make room and try again";
            case SQLITE_READONLY -> "nothing was saved: the file or its folder is read-only";
            case SQLITE_IOERR -> "nothing was saved: the disk failed; what was saved before is as it was";
            case SQLITE_CANTOPEN -> "cannot be opened; is its folder there, and writable?";
            case SQLITE_NOTADB -> "not a feedback store: it is not an SQLite database";
            case SQLITE_CORRUPT -> "damaged; bring back a copy, or save what is left with sqlite3's .recover";
            default -> "";
        };
    }
}
