package dev.manners.reward.judge;

import dev.langchain4j.exception.HttpException;
import dev.langchain4j.exception.TimeoutException;
import dev.langchain4j.http.client.HttpClient;
import dev.langchain4j.http.client.HttpClientBuilder;
import dev.langchain4j.http.client.HttpRequest;
import dev.langchain4j.http.client.SuccessfulHttpResponse;
import dev.langchain4j.http.client.sse.ServerSentEventListener;
import dev.langchain4j.http.client.sse.ServerSentEventParser;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/// HTTP as langchain4j wants it, with what its own client lacks: a refusal says for how long, a reply has a limited
/// size, and the time limit covers all of it and not only its head.
final class Http implements HttpClient, AutoCloseable {

    private static final int LARGEST_REPLY = 8 << 20;

    private final java.net.http.HttpClient client;
    private final Duration timeout;

    Http(Duration timeout) {
        this.timeout = timeout;
        this.client = java.net.http.HttpClient.newBuilder()
                .version(java.net.http.HttpClient.Version.HTTP_1_1)
                .connectTimeout(timeout)
                .build();
    }

    /// A status other than 2xx.
    static final class Refused extends HttpException {
        private static final long serialVersionUID = 1L;

        private final @Nullable Duration retryAfter;

        Refused(int status, String body, @Nullable Duration retryAfter) {
            super(status, "HTTP " + status + ": " + body);
            this.retryAfter = retryAfter;
        }

        /// How long the server asks us to wait; null if it does not say.
        @Nullable
        Duration retryAfter() {
            return retryAfter;
        }
    }

    /// What langchain4j makes clients with: always this one.
    HttpClientBuilder builder() {
        return new HttpClientBuilder() {
            @Override
            public Duration connectTimeout() {
                return timeout;
            }

            @Override
            public HttpClientBuilder connectTimeout(Duration ignored) {
                return this;
            }

            @Override
            public Duration readTimeout() {
                return timeout;
            }

            @Override
            public HttpClientBuilder readTimeout(Duration ignored) {
                return this;
            }

            @Override
            public HttpClient build() {
                return Http.this;
            }
        };
    }

    /// Ends connections, those that wait for a reply too.
    @Override
    public void close() {
        client.shutdownNow();
        client.close();
    }

    @Override
    public SuccessfulHttpResponse execute(HttpRequest request) {
        var builder = java.net.http.HttpRequest.newBuilder(URI.create(request.url()))
                .method(
                        request.method().name(),
                        java.net.http.HttpRequest.BodyPublishers.ofString(request.body(), StandardCharsets.UTF_8));
        request.headers().forEach((name, values) -> values.forEach(value -> builder.header(name, value)));
        CompletableFuture<HttpResponse<byte[]>> reply =
                client.sendAsync(builder.build(), BodyHandlers.limiting(BodyHandlers.ofByteArray(), LARGEST_REPLY));
        HttpResponse<byte[]> response;
        try {
            response = reply.get(timeout.toMillis(), TimeUnit.MILLISECONDS);
        } catch (java.util.concurrent.TimeoutException e) {
            reply.cancel(true);
            throw new TimeoutException("no reply within " + timeout.toMillis() / 1000.0 + " s", e);
        } catch (ExecutionException e) {
            Throwable cause = e.getCause() == null ? e : e.getCause();
            throw new UncheckedIOException(new java.io.IOException(cause.toString(), cause));
        } catch (InterruptedException e) {
            reply.cancel(true);
            Thread.currentThread().interrupt();
            throw new UncheckedIOException(new java.io.InterruptedIOException("interrupted"));
        }
        String body = new String(response.body(), StandardCharsets.UTF_8);
        if (response.statusCode() / 100 != 2) {
            Duration wait = response.headers()
                    .firstValue("Retry-After")
                    .map(value -> wait(value, Instant.now()))
                    .orElse(null);
            throw new Refused(response.statusCode(), body.substring(0, Math.min(300, body.length())), wait);
        }
        return SuccessfulHttpResponse.builder()
                .statusCode(response.statusCode())
                .headers(response.headers().map())
                .body(body)
                .build();
    }

    /// Seconds or a date, RFC 9110 section 10.2.3.
    static @Nullable Duration wait(String retryAfter, Instant now) {
        String value = retryAfter.strip();
        if (value.matches("\\d{1,9}")) {
            return Duration.ofSeconds(Long.parseLong(value));
        }
        try {
            Instant at = ZonedDateTime.parse(value, DateTimeFormatter.RFC_1123_DATE_TIME)
                    .toInstant();
            return at.isBefore(now) ? Duration.ZERO : Duration.between(now, at);
        } catch (DateTimeException e) {
            return null;
        }
    }

    @Override
    public void execute(HttpRequest request, ServerSentEventParser parser, ServerSentEventListener listener) {
        throw new UnsupportedOperationException("a judge's reply is not streamed");
    }
}
