package dev.manners.reward.judge;

import dev.manners.config.Checked;
import dev.manners.config.Key;
import java.net.URI;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Options of [RemoteModel].
public record JudgeConfig(
        @Key(value = "Name of the judging model", required = true)
        String model,

        @Key(value = "Where an OpenAI-compatible server answers", byDefault = "https://api.openai.com/v1")
        String baseUrl,

        @Key("Name of the environment variable that holds the API key; unset: no key is sent") @Nullable
        String apiKeyEnv,

        @Key(
                value = "Sampling temperature; -1: not sent, for models that refuse it",
                byDefault = "0",
                min = -1,
                max = 2)
        double temperature,

        @Key(value = "Tokens a reply may have; one that reaches it counts as no reply", byDefault = "1024", min = 1)
        int maxTokens,

        @Key(value = "Seconds to wait for a reply", byDefault = "60", min = 0, aboveMin = true, max = 3600)
        double timeoutSeconds,

        @Key(value = "Times a request that failed is sent again", byDefault = "5", min = 0, max = 20)
        int maxRetries,

        @Key(
                value = "Seconds before the first retry; each further one waits about twice as long, up to a minute",
                byDefault = "1",
                min = 0,
                max = 60)
        double retrySeconds,

        @Key(value = "Requests sent in a minute, evenly spaced; 0: no limit", byDefault = "0", min = 0)
        double requestsPerMinute,

        @Key(value = "Requests under way at once", byDefault = "8", min = 1, max = 10_000)
        int parallel,

        @Key(value = "Price of a million input tokens", byDefault = "0", min = 0)
        double inputPrice,

        @Key(value = "Price of a million output tokens", byDefault = "0", min = 0)
        double outputPrice,

        @Key(value = "What may be spent in the prices' currency; 0: no limit", byDefault = "0", min = 0)
        double maxCost,

        @Key("Folder that keeps replies, so that no question is asked twice; unset: none are kept") @Nullable
        Path cache)
        implements Checked {

    @Override
    public List<String> problems() {
        List<String> problems = new ArrayList<>();
        if (maxCost > 0 && inputPrice == 0 && outputPrice == 0) {
            problems.add("max_cost is " + maxCost + " and input_price and output_price are 0: give the prices");
        }
        if (temperature < 0 && temperature != -1) {
            problems.add("temperature is " + temperature + ", allowed is from 0 to 2, or -1");
        }
        URI url;
        try {
            url = URI.create(baseUrl);
        } catch (IllegalArgumentException e) {
            problems.add("base_url is " + baseUrl + ", expected an address such as https://api.openai.com/v1");
            return problems;
        }
        boolean http = "http".equals(url.getScheme());
        if (!http && !"https".equals(url.getScheme()) || url.getHost() == null) {
            problems.add("base_url is " + baseUrl + ", expected an address such as https://api.openai.com/v1");
        } else if (http
                && apiKeyEnv != null
                && !List.of("localhost", "127.0.0.1", "[::1]").contains(url.getHost())) {
            problems.add("base_url is " + baseUrl + " and api_key_env is set: the key would travel unencrypted;"
                    + " use https");
        }
        return problems;
    }
}
