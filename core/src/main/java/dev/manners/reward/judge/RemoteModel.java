package dev.manners.reward.judge;

import dev.langchain4j.data.message.SystemMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.exception.HttpException;
import dev.langchain4j.exception.NonRetriableException;
import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.openai.OpenAiChatModel;
import dev.langchain4j.model.output.FinishReason;
import dev.langchain4j.model.output.TokenUsage;
import dev.manners.BadInput;
import dev.manners.files.Json;
import dev.manners.files.Printable;
import dev.manners.files.Sha256;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BiConsumer;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/// A language model elsewhere, asked with patience and within limits: requests at once, requests per minute, money.
/// Replies are kept on disk, and what is known is not asked again.
///
/// Nothing fails silently: a question without an answer says why, and events tell of it: `judge_unanswered`,
/// `judge_budget_spent`, `judge_cache_unreadable`, `judge_cache_unwritable`; and `judge_usage` when it is closed.
///
/// Safe for use by several threads.
public final class RemoteModel implements AutoCloseable {

    /// A server that asks for more patience than this is taken to be gone.
    private static final Duration LONGEST_WAIT = Duration.ofMinutes(5);

    private static final Duration LONGEST_BACK_OFF = Duration.ofMinutes(1);

    private final ChatModel model;
    private final @Nullable Http connections;
    private final JudgeConfig config;
    private final BiConsumer<String, Map<String, ?>> events;
    private final @Nullable ReplyCache cache;
    private final Semaphore permits;
    private final Pace pace;
    private final Budget budget;
    private final AtomicBoolean saidSpent = new AtomicBoolean();
    private final AtomicLong requests = new AtomicLong();
    private final AtomicLong retries = new AtomicLong();
    private final AtomicLong cacheHits = new AtomicLong();
    private final AtomicLong unanswered = new AtomicLong();

    private RemoteModel(
            ChatModel model,
            @Nullable Http connections,
            JudgeConfig config,
            BiConsumer<String, Map<String, ?>> events) {
        this.model = model;
        this.connections = connections;
        this.config = config;
        this.events = events;
        this.cache = config.judgeCache() == null ? null : new ReplyCache(config.judgeCache(), events);
        this.permits = new Semaphore(config.judgeParallel());
        this.pace = new Pace(config.judgeRequestsPerMinute());
        this.budget = new Budget(config);
    }

    /// What was done so far.
    ///
    /// @param requests sent, retries included
    /// @param cost in the prices' currency. A request that ended without saying what it used, one that timed out
    /// among them, is counted at the most it can have cost; a refused one as free
    public record Usage(
            long requests,
            long retries,
            long cacheHits,
            long unanswered,
            long inputTokens,
            long outputTokens,
            double cost) {}

    /// A model behind an OpenAI-compatible server.
    ///
    /// @param events name and details, see above; may be called by several threads at once
    /// @throws BadInput if the environment has no API key under the name given
    public static RemoteModel open(JudgeConfig config, BiConsumer<String, Map<String, ?>> events) {
        return open(config, events, System::getenv);
    }

    static RemoteModel open(
            JudgeConfig config,
            BiConsumer<String, Map<String, ?>> events,
            UnaryOperator<@Nullable String> environment) {
        String key = null;
        if (config.judgeApiKeyEnv() != null) {
            key = environment.apply(config.judgeApiKeyEnv());
            if (key == null || key.isBlank()) {
                throw new BadInput("judge_api_key_env is " + config.judgeApiKeyEnv()
                        + ", and the environment has no such variable: set it to the API key of "
                        + config.judgeBaseUrl());
            }
        }
        Duration timeout = Duration.ofMillis((long) (config.judgeTimeoutSeconds() * 1000));
        Http connections = new Http(timeout);
        var builder = OpenAiChatModel.builder()
                .httpClientBuilder(connections.builder())
                .baseUrl(config.judgeBaseUrl())
                .modelName(config.judgeModel())
                .timeout(timeout)
                .maxRetries(0)
                .logRequests(false)
                .logResponses(false)
                .maxTokens(config.judgeMaxTokens());
        if (config.judgeTemperature() >= 0) {
            builder.temperature(config.judgeTemperature());
        }
        if (key != null) {
            builder.apiKey(key.strip());
        }
        return new RemoteModel(builder.build(), connections, config, events);
    }

    /// Any model that langchain4j knows. Its own retries should be off; address, key, temperature and length are its
    /// own affair, and of `config` they only tell replies apart in the cache.
    public static RemoteModel of(ChatModel model, JudgeConfig config, BiConsumer<String, Map<String, ?>> events) {
        return new RemoteModel(model, null, config, events);
    }

    public Usage usage() {
        return new Usage(
                requests.get(),
                retries.get(),
                cacheHits.get(),
                unanswered.get(),
                budget.inputTokens(),
                budget.outputTokens(),
                budget.spent());
    }

    /// Tells what was used, and ends connections.
    @Override
    public void close() {
        Usage usage = usage();
        events.accept(
                "judge_usage",
                Map.of(
                        "requests", usage.requests(),
                        "retries", usage.retries(),
                        "cache_hits", usage.cacheHits(),
                        "unanswered", usage.unanswered(),
                        "input_tokens", usage.inputTokens(),
                        "output_tokens", usage.outputTokens(),
                        "cost", usage.cost()));
        if (connections != null) {
            connections.close();
        }
    }

    /// Asks questions together; the same question once.
    ///
    /// @return answers in the questions' order
    List<Answer> ask(List<Question> questions) {
        Map<Question, Callable<Answer>> tasks = new LinkedHashMap<>();
        questions.forEach(question -> tasks.put(question, () -> ask(question)));
        Map<Question, Answer> answers = new LinkedHashMap<>();
        try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<Answer>> futures = threads.invokeAll(tasks.values());
            int i = 0;
            for (Question question : tasks.keySet()) {
                answers.put(question, futures.get(i++).get());
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while " + config.judgeModel() + " was judging", e);
        } catch (ExecutionException e) {
            throw new IllegalStateException(e.getCause());
        }
        List<String> reasons = answers.values().stream()
                .filter(Answer.None.class::isInstance)
                .map(none -> ((Answer.None) none).reason())
                .toList();
        if (!reasons.isEmpty()) {
            unanswered.addAndGet(reasons.size());
            events.accept(
                    "judge_unanswered",
                    Map.of("count", reasons.size(), "of", answers.size(), "first_reason", reasons.getFirst()));
        }
        List<Answer> inOrder = new ArrayList<>();
        questions.forEach(question -> inOrder.add(java.util.Objects.requireNonNull(answers.get(question))));
        return inOrder;
    }

    private Answer ask(Question question) throws InterruptedException {
        String key = key(question);
        String known = cache == null ? null : cache.get(key);
        if (known != null) {
            cacheHits.incrementAndGet();
            return new Answer.Reply(known);
        }
        // A token is a byte or more; the rest is what wraps the messages.
        long input = 64L
                + question.system().getBytes(StandardCharsets.UTF_8).length
                + question.user().getBytes(StandardCharsets.UTF_8).length;
        String problem = "";
        for (int attempt = 0; attempt <= config.judgeMaxRetries(); attempt++) {
            ChatResponse response;
            permits.acquire();
            try {
                pace.await();
                if (!budget.reserve(input, config.judgeMaxTokens())) {
                    if (saidSpent.compareAndSet(false, true)) {
                        events.accept(
                                "judge_budget_spent",
                                Map.of("max_cost", config.judgeMaxCost(), "cost", budget.spent()));
                    }
                    return new Answer.None("judge_max_cost of " + config.judgeMaxCost() + " is spent");
                }
                requests.incrementAndGet();
                if (attempt > 0) {
                    retries.incrementAndGet();
                }
                response = model.chat(ChatRequest.builder()
                        .messages(SystemMessage.from(question.system()), UserMessage.from(question.user()))
                        .build());
            } catch (Error e) {
                budget.settle(input, config.judgeMaxTokens(), input, config.judgeMaxTokens());
                throw e;
            } catch (RuntimeException e) {
                // Only a refusal is certain to have cost nothing.
                boolean refused = cause(e, HttpException.class) != null;
                budget.settle(
                        input, config.judgeMaxTokens(), refused ? 0 : input, refused ? 0 : config.judgeMaxTokens());
                Throwable root = root(e);
                problem = Printable.escape(
                        root.getMessage() == null ? root.getClass().getSimpleName() : root.getMessage());
                if (e instanceof NonRetriableException) {
                    return new Answer.None(problem);
                }
                Http.Refused busy = cause(e, Http.Refused.class);
                Duration wait = busy == null ? null : busy.retryAfter();
                if (wait != null && wait.compareTo(LONGEST_WAIT) > 0) {
                    return new Answer.None("asked to come back in " + wait.toSeconds() + " s: " + problem);
                }
                if (wait != null) {
                    pace.holdFor(wait);
                }
                response = null;
            } finally {
                permits.release();
            }
            if (response != null) {
                return answer(key, response, input);
            }
            if (attempt < config.judgeMaxRetries()) {
                Thread.sleep(backOff(attempt));
            }
        }
        return new Answer.None("failed " + (config.judgeMaxRetries() + 1) + " times, at last with: " + problem);
    }

    private Answer answer(String key, ChatResponse response, long input) {
        TokenUsage usage = response.tokenUsage();
        Integer usedInput = usage == null ? null : usage.inputTokenCount();
        Integer usedOutput = usage == null ? null : usage.outputTokenCount();
        budget.settle(
                input,
                config.judgeMaxTokens(),
                usedInput == null || usedInput < 0 ? input : usedInput,
                usedOutput == null || usedOutput < 0 ? config.judgeMaxTokens() : usedOutput);
        FinishReason finish = response.finishReason();
        String text = response.aiMessage().text();
        if (finish != null && finish != FinishReason.STOP) {
            return new Answer.None("the reply did not end by itself: " + finish);
        }
        if (text == null || text.isBlank()) {
            return new Answer.None("the reply is empty");
        }
        if (cache != null) {
            cache.put(key, config.judgeModel(), text);
        }
        return new Answer.Reply(text);
    }

    /// Twice as long each time, and by chance up to half of that less, so that those who failed together do not come
    /// back together. No result depends on it.
    private Duration backOff(int attempt) {
        double seconds =
                Math.min(config.judgeRetrySeconds() * Math.pow(2, attempt), (double) LONGEST_BACK_OFF.toSeconds());
        return Duration.ofNanos(
                (long) (seconds * 1e9 * (1 - 0.5 * ThreadLocalRandom.current().nextDouble())));
    }

    /// Of everything a reply depends on.
    private String key(Question question) {
        return Sha256.ofText(Json.MAPPER
                .createArrayNode()
                .add(config.judgeModel())
                .add(config.judgeBaseUrl())
                .add(config.judgeTemperature())
                .add(config.judgeMaxTokens())
                .add(question.version())
                .add(question.system())
                .add(question.user())
                .toString());
    }

    private static <T extends Throwable> @Nullable T cause(Throwable e, Class<T> type) {
        for (Throwable t = e; t != null; t = t.getCause()) {
            if (type.isInstance(t)) {
                return type.cast(t);
            }
        }
        return null;
    }

    private static Throwable root(Throwable e) {
        Throwable root = e;
        while (root.getCause() != null) {
            root = root.getCause();
        }
        return root;
    }
}
