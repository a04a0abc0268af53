# Cox fits, discrete-time laws and log-rank tests by R's survival; writes cox_r.json.
#     Rscript tests/values/oracles/cox.R > tests/values/oracles/cox_r.json
# lung is the package's own (Loprinzi et al., J. Clinical Oncology 12, 1994). The other data are those of survival.R, made by
# arithmetic: 150 rollouts of 50 items, here in two arms by the rollout's number; a first error in step n is known to lie in
# (n-1, n], a censored rollout in (n, inf).
library(survival)
number <- function(x) paste0("[", paste(ifelse(is.na(x), "null", sprintf("%.17g", x)), collapse = ", "), "]")
show <- function(name, x) paste0('"', name, '": ', number(as.numeric(x)))
i <- 0:149
item <- i %/% 3
time <- 1 + (7 * i^2 + 3 * i + item^2) %% 13
error <- as.integer((i * 5 + item * 3) %% 7 %% 3 == 1)
arm <- as.integer(i %% 3 == 0)
tight <- coxph.control(eps = 1e-14, iter.max = 100)
breslow <- coxph(Surv(time, error) ~ arm, ties = "breslow", cluster = item, control = tight)
efron <- coxph(Surv(time, error) ~ arm, ties = "efron", control = tight)
rank <- survdiff(Surv(time, error) ~ arm)
d <- subset(lung, !is.na(ph.ecog))
two <- coxph(Surv(time, status) ~ age + sex, data = lung, control = tight)
ecog <- coxph(Surv(time, status) ~ ph.ecog + age, data = d, control = tight)
aft <- function(dist) {
  low <- ifelse(error == 1, time - 1, time)
  high <- ifelse(error == 1, time, NA)
  low[low == 0] <- NA  # left-censored: (0, 1]
  survreg(Surv(low, high, type = "interval2") ~ 1, dist = dist, control = survreg.control(rel.tolerance = 1e-14, maxiter = 200))
}
laws <- lapply(c(weibull = "weibull", loglogistic = "loglogistic"), aft)
cat("{\n", paste(c(
  paste0('"made by": "R ', getRversion(), ", survival ", packageVersion("survival"), '"'),
  show("age", lung$age), show("sex", lung$sex),
  show("lung_age_sex", coef(two)), show("lung_age_sex_se", sqrt(diag(vcov(two)))), show("lung_age_sex_loglik", two$loglik[2]),
  show("lung_ecog_age", coef(ecog)),
  show("arm_breslow", coef(breslow)), show("arm_breslow_se", sqrt(breslow$naive.var)), show("arm_breslow_robust_se", sqrt(vcov(breslow))),
  show("arm_efron", coef(efron)), show("arm_efron_se", sqrt(vcov(efron))),
  show("log_rank_chisq", rank$chisq),
  show("weibull_scale_shape", c(exp(coef(laws$weibull)), 1 / laws$weibull$scale)),
  show("weibull_loglik", laws$weibull$loglik[2]),
  show("loglogistic_scale_shape", c(exp(coef(laws$loglogistic)), 1 / laws$loglogistic$scale)),
  show("loglogistic_loglik", laws$loglogistic$loglik[2])
), collapse = ",\n "), "\n}\n")
