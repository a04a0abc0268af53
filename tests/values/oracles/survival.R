# Kaplan-Meier with clustered standard errors and Aalen-Johansen by R's survival; writes survival_r.json.
#     Rscript tests/values/oracles/survival.R > tests/values/oracles/survival_r.json
# The data are made by arithmetic: 150 rollouts of 50 items, ties, a third censored; end 1 = error, 2 = done, 0 = censored.
library(survival)
i <- 0:149
item <- i %/% 3
time <- 1 + (7 * i^2 + 3 * i + item^2) %% 13
end <- (i * 5 + item * 3) %% 7 %% 3
show <- function(name, x) paste0('"', name, '": [', paste(sprintf("%.17g", x), collapse = ", "), "]")
error <- as.integer(end == 1)
km <- survfit(Surv(time, error) ~ 1, cluster = item)
plain <- survfit(Surv(time, error) ~ 1)
aj <- survfit(Surv(time, factor(end, 0:2)) ~ 1, id = i + 1, cluster = item)
cat("{\n", paste(c(
  paste0('"made by": "R ', getRversion(), ", survival ", packageVersion("survival"), '"'),
  show("item", item), show("time", time), show("end", end),
  show("steps", km$time), show("survival", km$surv), show("at_risk", km$n.risk), show("errors", km$n.event),
  show("clustered_error", km$std.err), show("greenwood_error", plain$std.err * plain$surv),
  show("incidence_error", aj$pstate[, 2]), show("incidence_done", aj$pstate[, 3]),
  show("incidence_error_se", aj$std.err[, 2])
), collapse = ",\n "), "\n}\n")
