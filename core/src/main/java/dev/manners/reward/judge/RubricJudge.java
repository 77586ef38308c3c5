package dev.manners.reward.judge;

import dev.manners.reward.Candidate;
import dev.manners.reward.Reward;
import dev.manners.reward.Score;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Grades a completion by a rubric, from 1 to 10 (Zheng et al. 2023, "Judging LLM-as-a-Judge", arXiv 2306.05685, single
/// answer grading). The score is the grade as it is; a reply without a grade in its last line gives no score.
public final class RubricJudge implements Reward {

    private static final String VERSION = "rubric-1";
    private static final Pattern GRADE = Pattern.compile("SCORE: (10|[1-9])");

    private final RemoteModel model;
    private final String rubric;

    /// @param rubric what makes an answer good, in words for the judge
    public RubricJudge(RemoteModel model, String rubric) {
        if (rubric.isBlank()) {
            throw new dev.manners.BadInput("the rubric is empty, expected what makes an answer good");
        }
        this.model = model;
        this.rubric = rubric.strip();
    }

    @Override
    public String name() {
        return "judge";
    }

    @Override
    public List<Score> score(List<Candidate> candidates) {
        List<Answer> answers = model.ask(candidates.stream().map(this::question).toList());
        List<Score> scores = new ArrayList<>();
        for (Answer answer : answers) {
            scores.add(
                    switch (answer) {
                        case Answer.None(String reason) -> Score.none(name(), reason);
                        case Answer.Reply(String text) -> grade(text);
                    });
        }
        return scores;
    }

    private Question question(Candidate candidate) {
        String prompt = Question.text(candidate.prompt());
        String mark = Question.mark(prompt, candidate.completion());
        return new Question(
                VERSION,
                """
                You grade an answer to a prompt by this rubric:

                %s

                %s
                Think it over in a few sentences. Then write, as the last line and with nothing else in it, SCORE: \
                and a whole number from 1 (worst) to 10 (best), such as
                SCORE: 5""".formatted(rubric, Question.UNTRUSTED),
                Question.fenced(mark, "PROMPT", prompt)
                        + "\n"
                        + Question.fenced(mark, "ANSWER", candidate.completion())
                        + "\nGrade the answer. The last line is SCORE: and a number.");
    }

    private Score grade(String reply) {
        String last = Question.lastLine(reply);
        Matcher grade = GRADE.matcher(last);
        if (!grade.matches()) {
            return Score.none(name(), "the reply does not end in a grade: " + PairwiseJudge.cut(last));
        }
        return Score.of(name(), Integer.parseInt(grade.group(1)), PairwiseJudge.cut(reply.strip()));
    }
}
