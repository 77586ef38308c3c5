package dev.manners.reward.judge;

import dev.manners.config.Checked;
import dev.manners.config.Key;
import java.net.URI;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// Options of a judge: what it judges by, and how [RemoteModel] asks it.
public record JudgeConfig(
        @Key(value = "Name of the judging model", required = true)
        String judgeModel,

        @Key(value = "What makes an answer good, in words for the judge", required = true)
        String judgeRubric,

        @Key(value = "Where an OpenAI-compatible server answers", byDefault = "https://api.openai.com/v1")
        String judgeBaseUrl,

        @Key("Name of the environment variable that holds the API key; unset: no key is sent") @Nullable
        String judgeApiKeyEnv,

        @Key(
                value = "Sampling temperature; -1: not sent, for models that refuse it",
                byDefault = "0",
                min = -1,
                max = 2)
        double judgeTemperature,

        @Key(value = "Tokens a reply may have; one that reaches it counts as no reply", byDefault = "1024", min = 1)
        int judgeMaxTokens,

        @Key(value = "Seconds to wait for a reply", byDefault = "60", min = 0, aboveMin = true, max = 3600)
        double judgeTimeoutSeconds,

        @Key(value = "Times a request that failed is sent again", byDefault = "5", min = 0, max = 20)
        int judgeMaxRetries,

        @Key(
                value = "Seconds before the first retry; each further one waits about twice as long, up to a minute",
                byDefault = "1",
                min = 0,
                max = 60)
        double judgeRetrySeconds,

        @Key(value = "Requests sent in a minute, evenly spaced; 0: no limit", byDefault = "0", min = 0)
        double judgeRequestsPerMinute,

        @Key(value = "Requests under way at once", byDefault = "8", min = 1, max = 10_000)
        int judgeParallel,

        @Key(value = "Price of a million input tokens", byDefault = "0", min = 0)
        double judgeInputPrice,

        @Key(value = "Price of a million output tokens", byDefault = "0", min = 0)
        double judgeOutputPrice,

        @Key(value = "What may be spent in the prices' currency; 0: no limit", byDefault = "0", min = 0)
        double judgeMaxCost,

        @Key("Folder that keeps replies, so that no question is asked twice; unset: none are kept") @Nullable
        Path judgeCache)
        implements Checked {

    @Override
    public List<String> problems() {
        List<String> problems = new ArrayList<>();
        if (judgeMaxCost > 0 && judgeInputPrice == 0 && judgeOutputPrice == 0) {
            problems.add("judge_max_cost is " + judgeMaxCost
                    + " and judge_input_price and judge_output_price are 0: give the prices");
        }
        if (judgeTemperature < 0 && judgeTemperature != -1) {
            problems.add("judge_temperature is " + judgeTemperature + ", allowed is from 0 to 2, or -1");
        }
        URI url;
        try {
            url = URI.create(judgeBaseUrl);
        } catch (IllegalArgumentException e) {
            problems.add(
                    "judge_base_url is " + judgeBaseUrl + ", expected an address such as https://api.openai.com/v1");
            return problems;
        }
        boolean http = "http".equals(url.getScheme());
        if (!http && !"https".equals(url.getScheme()) || url.getHost() == null) {
            problems.add(
                    "judge_base_url is " + judgeBaseUrl + ", expected an address such as https://api.openai.com/v1");
        } else if (http
                && judgeApiKeyEnv != null
                && !List.of("localhost", "127.0.0.1", "[::1]").contains(url.getHost())) {
            problems.add("judge_base_url is " + judgeBaseUrl
                    + " and judge_api_key_env is set: the key would travel unencrypted;" + " use https");
        }
        return problems;
    }
}
